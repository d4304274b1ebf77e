"""Files, tables, layouts, preprocessing, augmentation and splits."""

import math
import zipfile

import numpy as np
import pytest
import torch
from helpers.bad_files import BAD_FILES
from helpers.pictures import encode
from helpers.synthetic import tiny_set, zip_folder
from PIL import Image
from torch.nn import functional as F

from gricol_zoo import MODELS, GricolZooError, Preprocess
from gricol_zoo.data.arrays import fitting_scale, measure_extents
from gricol_zoo.data.augment import Augment, bend_along_arc
from gricol_zoo.data.images import percentile, read_grey
from gricol_zoo.data.preprocess import measure_pose, pad, stretch, to_canvas, upright
from gricol_zoo.data.readers import open_images
from gricol_zoo.data.split import (
    apply_split,
    check_leaks,
    make_split,
    read_split,
    split_for,
    write_split,
)
from gricol_zoo.data.table import ImageSet, Record, Store
from gricol_zoo.errors import ImageError, LeakError

RAMP = (np.arange(48).reshape(6, 8) * 5).astype(np.uint8)


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP"])
def test_grey_formats_are_exact(format):
    np.testing.assert_array_equal(read_grey(encode(Image.fromarray(RAMP), format)), RAMP.astype(np.float32) / 255)


def test_jpeg_is_close():
    assert np.abs(read_grey(encode(Image.fromarray(RAMP), "JPEG", quality=95)) - RAMP / 255).max() < 0.05


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
@pytest.mark.parametrize(("top", "scale"), [(4000, 4095), (60000, 65535)])
def test_16_bit(format, top, scale):
    deep = np.linspace(0, top, 48).reshape(6, 8).astype(np.uint16)
    np.testing.assert_allclose(read_grey(encode(Image.fromarray(deep), format)), deep / scale, rtol=1e-6)


@pytest.mark.parametrize("top", [1.0, 200.0])
def test_float_tiff(top):
    values = np.linspace(0, top, 48, dtype=np.float32).reshape(6, 8)
    np.testing.assert_allclose(read_grey(encode(Image.fromarray(values), "TIFF")), values / (255 if top > 1 else 1), rtol=1e-6)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "CMYK"])
def test_colour_modes_of_a_grey_picture(mode):
    format = "TIFF" if mode == "CMYK" else "PNG"
    np.testing.assert_allclose(read_grey(encode(Image.fromarray(RAMP).convert(mode), format)), RAMP / 255, atol=0.02)


def test_colour_becomes_luma():
    picture = Image.new("RGB", (4, 4), (255, 0, 0))
    picture.putpixel((0, 0), (0, 255, 0))
    grey = read_grey(encode(picture))
    assert grey[0, 0] == pytest.approx(0.587, abs=0.01)
    assert grey[1, 1] == pytest.approx(0.299, abs=0.01)


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_named(name):
    data, message = BAD_FILES[name]
    with pytest.raises(ImageError, match=message):
        read_grey(data)


def test_a_file_that_cannot_be_unpacked_is_named(tmp_path):
    zip_folder(tiny_set(tmp_path / "set", cells=1), tmp_path / "set.zip")
    images = open_images(tmp_path / "set.zip")
    whole = (tmp_path / "set.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "set.zip") as archive:
        place = archive.getinfo(images.records[1].path).header_offset + 80
    (tmp_path / "set.zip").write_bytes(whole[:place] + bytes(9) + whole[place + 9 :])
    images = open_images(tmp_path / "set.zip")
    for ask in (images.sha256, lambda: check_leaks({"train": images})):
        with pytest.raises(GricolZooError, match=rf"{images.records[1].path} of .*set.zip: cannot be unpacked.*Fix the file"):
            ask()


def rod(angle, height=120, width=110, length=60, thick=12):
    """A bright rod, brighter at its upper end, turned by ``angle`` degrees from the vertical."""
    ys, xs = np.mgrid[:height, :width] + 0.5
    a = np.radians(angle)
    along = (xs - width / 2) * np.sin(a) + (ys - height / 2) * np.cos(a)
    across = (xs - width / 2) * np.cos(a) - (ys - height / 2) * np.sin(a)
    inside = (abs(along) < length / 2) & (abs(across) < thick / 2)
    return np.where(inside, np.where(along < 0, 1.0, 0.6), 0.0).astype(np.float32)


@pytest.mark.parametrize("angle", [-80, -45, -10, 0, 25, 60, 85])
def test_pose_of_a_rod(angle):
    pose = measure_pose(rod(angle))
    assert np.degrees(pose.angle) == pytest.approx(angle, abs=2)
    assert pose.length == pytest.approx(60, abs=4)
    assert pose.width == pytest.approx(12, abs=4)
    assert pose.center == pytest.approx((54.5, 59.5), abs=1.5)


@pytest.mark.parametrize("angle", [-60, -20, 0, 30, 75])
def test_upright_turns_and_centres_and_keeps_the_upper_end_up(angle):
    straight, turned = upright(rod(0), 1.0, (96, 64)), upright(rod(angle), 1.0, (96, 64))
    assert np.abs(straight - turned).mean() < 0.012
    assert turned[30, 32] > turned[66, 32] + 0.2
    shifted = np.roll(rod(angle), (9, -7), (0, 1))
    assert np.abs(upright(shifted, 1.0, (96, 64)) - turned).mean() < 0.005


def test_upright_scales_and_shrinks_to_fit():
    big = upright(rod(0), 1.5, (128, 64)) > 0.3
    assert big.any(1).sum() == pytest.approx(90, abs=3)
    fitted = upright(rod(0), 4.0, (128, 64)) > 0.3
    assert 120 <= fitted.any(1).sum() <= 128


def test_stretch_makes_both_polarities_alike():
    bright = 0.1 + 0.5 * rod(20)
    dark = 0.9 - 0.5 * rod(20)
    np.testing.assert_allclose(stretch(bright), stretch(dark), atol=1e-5)
    assert stretch(bright).min() == 0
    assert np.percentile(stretch(bright)[rod(20) > 0.9], 50) == pytest.approx(1, abs=0.01)


def test_papers_preprocessing():
    crop = np.full((200, 100), 0.25, np.float32)
    crop[50:150, 30:70] = 1.0
    canvas = to_canvas(crop, Preprocess(), (448, 456))
    assert canvas.shape == (448, 456)
    assert canvas.dtype == np.uint8
    assert (canvas[:20] == 64).all()  # padded with the border median, not with 0
    padded = pad(crop, (224, 224))
    assert padded[12 + 100, 62 + 50] == 1.0
    reference = torch.nn.functional.interpolate(
        torch.from_numpy(padded)[None, None], (448, 456), mode="bilinear", align_corners=False
    )[0, 0]
    assert np.abs(canvas / 255 - reference.numpy()).max() < 0.01


def test_padding_shrinks_what_is_too_large():
    assert pad(np.eye(300, dtype=np.float32), (224, 224)).shape == (224, 224)
    assert pad(np.ones((10, 500), np.float32), (224, 224)).shape == (224, 224)


def test_manifest_zip_and_csv_read_alike(tmp_path):
    folder = tiny_set(tmp_path / "set", cells=2)
    from_folder = open_images(folder)
    assert [r.label for r in from_folder.records] == ["1", "5", "21"] * 2
    assert from_folder.records[0].cell == from_folder.records[0].case == "c00"
    from_zip = open_images(zip_folder(folder, tmp_path / "set.zip"))
    from_csv = open_images(folder / "manifest.csv")
    assert from_zip.records == from_folder.records == from_csv.records
    assert from_zip.sha256() == from_folder.sha256()


def grey_file(path, size=(20, 30), seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng([seed, *path.name.encode()]).integers(0, 255, size[::-1], np.uint8)
    Image.fromarray(pixels).save(path)


def test_folder_per_class(tmp_path):
    for name in ("7/a.png", "x/b.png", "22/c.tif"):
        grey_file(tmp_path / name)
    assert [(r.path, r.label) for r in open_images(tmp_path).records] == [
        ("22/c.tif", "22"),
        ("7/a.png", "7"),
        ("x/b.png", "X"),
    ]


def test_folders_of_any_classes_on_request(tmp_path):
    grey_file(tmp_path / "cell1/cat/a.png")
    record = open_images(tmp_path, "folders").records[0]
    assert (record.label, record.cell) == ("cat", "cell1")


def test_bioimlab_layout(tmp_path):
    for name in ("cell01/7_a.png", "cell01/X_a.png", "cell02/22_b.png"):
        grey_file(tmp_path / name)
    records = open_images(tmp_path).records
    assert [(r.cell, r.label, r.copy) for r in records] == [("cell01", "7", "a"), ("cell01", "X", "a"), ("cell02", "22", "b")]


@pytest.mark.parametrize("first", [0, 1])
def test_cir_layout_counts_from_either(tmp_path, first):
    for number in range(24):
        grey_file(tmp_path / f"x12.20190101.{number + first}.tiff", (224, 224))
    images = open_images(tmp_path)
    found = {r.path.split(".")[-2]: r.label for r in images.records}
    assert found[str(first)] == "1"
    assert found[str(22 + first)] == "X"
    assert any(f"counted from {first}" in note for note in images.notes)


def test_cir_numbers_out_of_range(tmp_path):
    grey_file(tmp_path / "a.25.tiff")
    with pytest.raises(GricolZooError, match=r"25\.\.25"):
        open_images(tmp_path, "cir")


def test_fish_layout_checks_the_size(tmp_path):
    grey_file(tmp_path / "3/a.png", (100, 200))
    assert open_images(tmp_path, "fish").records[0].label == "3"
    grey_file(tmp_path / "3/b.png", (90, 200))
    with pytest.raises(GricolZooError, match="90x200"):
        open_images(tmp_path, "fish")


def test_unlabelled_images(tmp_path):
    grey_file(tmp_path / "cell7/abc.png")
    grey_file(tmp_path / "zzz.png")
    assert [(r.path, r.label, r.cell) for r in open_images(tmp_path).records] == [
        ("cell7/abc.png", "", "cell7"),
        ("zzz.png", "", ""),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,case\na.png,1\n", "no column 'label'"),
        ("path,label\nb.png,1\n", "no such file: 'b.png'"),
        ("path,label\na.png,1\na.png,1\n", "is listed twice"),
        ("path,label\n../a.png,1\n", "not a relative path inside"),
        ("path,label\n/a.png,1\n", "not a relative path inside"),
        ("path,label\n", "contains no images"),
    ],
)
def test_wrong_manifests_are_named(tmp_path, text, message):
    grey_file(tmp_path / "a.png")
    (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(GricolZooError, match=message):
        open_images(tmp_path, labels=True)


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil.png", "a/../../evil.png", "C:\\evil.png", "..\\evil.png"])
def test_a_zip_that_climbs_out_is_refused(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(GricolZooError, match="a path outside the archive"):
        open_images(tmp_path / "bad.zip")


def test_a_zip_whose_list_of_members_is_damaged_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("ü.png", b"x")
    data = bytearray((tmp_path / "bad.zip").read_bytes())
    entry = data.index(b"PK\1\2")
    for place, value in ((46, 0xFF), (6, 0xFF)):  # a name that is not UTF-8; a version that no zip has
        damaged = data.copy()
        damaged[entry + place] = value
        (tmp_path / "bad.zip").write_bytes(damaged)
        with pytest.raises(GricolZooError, match="is not a valid zip file"):
            open_images(tmp_path / "bad.zip")
    with zipfile.ZipFile(tmp_path / "odd.zip", "w") as archive:
        archive.writestr(".", b"x")
    with pytest.raises(GricolZooError, match="contains no images"):
        open_images(tmp_path / "odd.zip")


def test_missing_and_broken_places(tmp_path):
    with pytest.raises(GricolZooError, match="No such file or folder"):
        open_images(tmp_path / "nowhere")
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04broken")
    with pytest.raises(GricolZooError, match="is not a valid zip file"):
        open_images(tmp_path / "broken.zip")
    (tmp_path / "empty").mkdir()
    with pytest.raises(GricolZooError, match="contains no images"):
        open_images(tmp_path / "empty")
    with pytest.raises(GricolZooError, match="Unknown layout 'tape'"):
        open_images(tmp_path, "tape")


def records(cells=20):
    return [
        Record(f"{cell}/{label}.png", label, f"cell{cell}", f"case{cell // 2}", "FM"[(cell // 2) % 2])
        for cell in range(cells)
        for label in ("1", "2", "3")
    ]


def test_split_keeps_cases_whole_and_sexes_apart(tmp_path):
    rows = make_split(records(40), seed=1)
    write_split(rows, tmp_path / "split.csv")
    parts = apply_split(ImageSet("x", records(40), Store(tmp_path)), read_split(tmp_path / "split.csv"))
    assert sum(map(len, parts.values())) == 120
    cases = {part: {record.case for record in images.records} for part, images in parts.items()}
    assert not cases["train"] & cases["val"] | cases["train"] & cases["test"] | cases["val"] & cases["test"]
    for images in parts.values():
        assert {record.sex for record in images.records} == {"F", "M"}
    assert make_split(records(40), seed=1) == rows != make_split(records(40), seed=2)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("case,cell,part\na,a,train\na,b,val\n", LeakError, "case 'a' is in both train and val"),
        ("case,cell,part\na,a,train\na,a,train\n", GricolZooError, "is listed twice"),
        ("case,cell,part\na,a,trian\n", GricolZooError, "one of train, val, test"),
        ("case,cell\na,a\n", GricolZooError, "no column 'part'. Columns found: case, cell"),
    ],
)
def test_wrong_splits_are_named(tmp_path, text, error, message):
    (tmp_path / "split.csv").write_text(text)
    with pytest.raises(error, match=message):
        read_split(tmp_path / "split.csv")


def test_leaks_by_id_and_by_pixels_fail(tmp_path):
    images = open_images(tiny_set(tmp_path, cells=4))
    halves = {"train": images.subset(range(6)), "val": images.subset(range(6, 12))}
    check_leaks(halves)
    with pytest.raises(LeakError, match="'c00' is in both train and val"):
        check_leaks({"train": images.subset([0]), "val": images.subset([1])})
    source = tmp_path / images.records[0].path
    Image.open(source).save(tmp_path / images.records[11].path.replace(".png", ".png"), "PNG", compress_level=1)
    with pytest.raises(LeakError, match="same pixels"):
        check_leaks(halves)


def test_centred_is_upright_without_the_turn():
    grey = np.zeros((90, 90), np.float32)
    grey[20:30, 10:60] = 0.8  # lies level, 50 long
    levelled = to_canvas(grey, Preprocess(orientation="centred", scale=1.5, pad_to=None), (128, 96))
    turned = to_canvas(grey, Preprocess(orientation="upright", scale=1.5, pad_to=None), (128, 96))
    rows, columns = (np.nonzero(levelled.max(axis) > 100)[0] for axis in (1, 0))
    assert (len(rows), len(columns)) == (pytest.approx(15, abs=2), pytest.approx(75, abs=2))
    assert (rows.mean(), columns.mean()) == (pytest.approx(63.5, abs=1), pytest.approx(47.5, abs=1))
    assert np.abs(np.rot90(levelled[16:112]).astype(int) - turned[16:112]).mean() < 3


def bars(*lengths):
    images = torch.zeros(len(lengths), 128, 96)
    for image, length in zip(images, lengths, strict=True):
        image[64 - length // 2 : 64 + length // 2, 44:52] = 0.8
    return images


@pytest.mark.parametrize("turn", [-2.0, -0.5, 0.7, 1.5])
def test_an_arc_turns_by_its_angle_and_keeps_the_length(turn):
    images = bars(40, 100)
    straight = F.affine_grid(torch.eye(2, 3).expand(2, 2, 3), [2, 1, 128, 96], align_corners=False)
    grid = bend_along_arc(straight, torch.tensor([turn, turn]), images)
    bent = F.grid_sample(images.unsqueeze(1), grid, align_corners=False)[:, 0].numpy()
    for image, before, length in zip(bent, images.numpy(), (40, 100), strict=True):
        assert image.sum() == pytest.approx(before.sum(), rel=0.05)
        rows, columns = np.nonzero(image > 0.4)
        assert rows.mean() == pytest.approx(63.5, abs=1)
        assert (columns.min() + columns.max()) / 2 == pytest.approx(47.5, abs=1.5)
        # Compared with points of the circle: from the middle of the axis to its end is half the turn.
        ends = [
            np.array([columns[side].mean(), rows[side].mean()]) for side in (rows <= rows.min() + 2, rows >= rows.max() - 2)
        ]
        middle = columns[np.abs(rows - 63.5) < 2].mean()
        radius = length / turn
        assert ends[0][0] - middle == pytest.approx(radius * (1 - np.cos(turn / 2)), abs=4)
        assert ends[1][1] - ends[0][1] == pytest.approx(2 * abs(radius) * np.sin(abs(turn) / 2), abs=5)


def test_no_arc_is_no_change():
    straight = F.affine_grid(torch.eye(2, 3).expand(1, 2, 3), [1, 1, 128, 96], align_corners=False)
    torch.testing.assert_close(bend_along_arc(straight, torch.zeros(1), bars(60)), straight, atol=1e-3, rtol=0)


def test_a_stripe_darkens_the_rest_and_not_itself():
    images = bars(80, 80, 80, 80)
    crossed = Augment(overlap=1.0)(images, torch.Generator().manual_seed(3))
    torch.testing.assert_close(crossed.amax((1, 2)), images.amax((1, 2)))
    ratio = (crossed / images)[images > 0]
    assert ratio.max() <= 1.0001
    assert ratio.min() < 0.8
    assert torch.equal(Augment(overlap=0.0)(images, torch.Generator().manual_seed(3)), images)


def test_too_few_cells_to_split():
    with pytest.raises(GricolZooError, match=r"Expected enough cases or cells for train, val and test, but got 1"):
        make_split([Record("a.png", "1", cell="c1"), Record("b.png", "2", cell="c1")], 0)


def test_scale_makes_19_of_20_fit_whatever_the_microscope(tmp_path):
    lengths = np.linspace(20, 115, 96)
    for name, zoom in (("coarse", 1), ("fine", 2)):
        (tmp_path / name / "1").mkdir(parents=True)
        for index, length in enumerate(lengths * zoom):
            grey = np.zeros((260, 90), np.uint8)
            grey[10 : 10 + int(length), 30 : 30 + 12 * zoom] = 200
            Image.fromarray(grey).save(tmp_path / name / "1" / f"{index}.png")
    how = MODELS.get("r18half_128").preprocess
    extents = [measure_extents(open_images(tmp_path / name), how) for name in ("coarse", "fine")]
    coarse, fine = (fitting_scale(each, (128, 96), how.version) for each in extents)
    assert coarse == pytest.approx(126 / np.percentile(np.floor(lengths), 95), abs=0.02)
    assert fine == pytest.approx(coarse / 2, abs=0.02)
    (tmp_path / "blank").mkdir()
    Image.fromarray(np.zeros((50, 50), np.uint8)).save(tmp_path / "blank" / "a.png")
    with pytest.raises(GricolZooError, match="shows a chromosome"):
        measure_extents(open_images(tmp_path / "blank"), how)


def test_a_set_without_cells_is_split_by_image_and_says_so(tmp_path):
    images = ImageSet("x", [Record(f"{i}.png", "1") for i in range(40)], Store(tmp_path))
    images, split, name = split_for(images, seed=0)
    assert "image-level" in name
    assert len(apply_split(images, split)["train"]) == 32
    assert "by case or cell" in split_for(ImageSet("x", records(), Store(tmp_path)), 0)[2]


def batch():
    image = torch.from_numpy(upright(rod(0), 1.0, (96, 64)).copy())
    return image.expand(4, -1, -1).clone()


def test_no_augmentation_changes_nothing():
    assert torch.equal(Augment()(batch(), torch.Generator()), batch())


def test_augmentation_repeats_with_its_generator_and_varies_in_the_batch():
    augment = Augment(8, 0.1, 0.1, 0.02, 0.05, 0.02, 0.5, 0.5, 0.2, 0.4, 0.02, 0.5, 0.02, 0.5)
    one, two = (augment(batch(), torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, two)
    assert not torch.equal(one[0], one[1])
    assert one.min() >= 0
    assert one.max() <= 1
    assert not torch.equal(one, augment(batch(), torch.Generator().manual_seed(4)))


def test_flips_are_exact():
    images = torch.rand(3, 12, 8)
    generator = torch.Generator
    torch.testing.assert_close(Augment(flip=1.0)(images, generator()), images.flip(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(Augment(flip_arms=1.0)(images, generator()), images.flip(1), atol=1e-5, rtol=0)


def test_tilt_turns_by_the_angle_without_shearing():
    generator = torch.Generator().manual_seed(0)
    angles = (torch.rand(4, generator=torch.Generator().manual_seed(0)) * 2 - 1) * 30
    turned = Augment(tilt=30)(batch(), generator)
    for image, angle in zip(turned, angles, strict=True):
        pose = measure_pose(image.numpy())
        assert abs(np.degrees(pose.angle)) == pytest.approx(abs(angle.item()), abs=2)
        assert pose.length == pytest.approx(60, abs=5)
        assert pose.width == pytest.approx(12, abs=5)


def test_bend_slides_rows_and_keeps_them_level():
    bent = Augment(bend=0.15)(batch(), torch.Generator().manual_seed(1))
    assert not torch.allclose(bent, batch(), atol=0.05)
    torch.testing.assert_close(bent.sum(2), batch().sum(2), atol=0.15, rtol=0.05)


def test_overlap_leaves_a_bright_stripe_and_erase_blanks_a_box():
    images = torch.full((64, 96, 64), 0.4)
    striped = Augment(overlap=1.0)(images, torch.Generator().manual_seed(0))
    ratio = striped / images
    assert ratio.max() == pytest.approx(1.0)  # the stripe is as bright as the image was, the rest darker
    assert ratio.min() >= 0.5 - 1e-5
    assert ((ratio > 0.99).flatten(1).float().mean(1) > 0.02).all()  # every image has one stripe
    assert ((ratio > 0.99).flatten(1).float().mean(1) < 0.6).all()
    erased = Augment(erase=1.0)(images, torch.Generator().manual_seed(0)) == 0
    assert 0 < erased.float().mean() < 0.04
    assert not Augment(erase=1e-9)(images, torch.Generator().manual_seed(0)).eq(0).any()


def test_light_changes_stay_within_their_bounds():
    images = torch.full((200, 8, 8), 0.5)
    gains = Augment(contrast=0.2)(images, torch.Generator().manual_seed(0)).mean((1, 2)) / 0.5
    assert 0.8 <= gains.min() < 0.85
    assert 1.15 < gains.max() <= 1.2
    noisy = Augment(noise=0.1)(images, torch.Generator().manual_seed(0))
    assert 0.04 < noisy.std(dim=(1, 2)).mean() < 0.06


@pytest.mark.parametrize("size", [1, 2, 3, 10, 997, 3400])
@pytest.mark.parametrize("q", [0, 25, 50, 99, 99.5, 100])
def test_percentile_is_numpys(size, q):
    values = np.random.default_rng(size).random(size).astype(np.float32)
    assert percentile(values, q) == pytest.approx(float(np.percentile(values.astype(np.float64), q)), rel=1e-5)


@pytest.mark.parametrize("angle", range(-80, 90, 20))
def test_pose_is_the_principal_axis(angle):
    """Compared with numpy's eigenvectors of the covariance of the mask."""
    image = rod(angle)
    image[10:30, 50:58] = 1  # a lump, so that the middle of the extent is not the centre of mass
    points = np.stack(np.nonzero(image > 0.15 * np.percentile(image, 99.5))[::-1]).astype(float)
    axis = np.linalg.eigh(np.cov(points))[1][:, 1]
    axis = axis if axis[1] >= 0 else -axis
    pose = measure_pose(image)
    assert pose.angle == pytest.approx(math.atan2(axis[0], axis[1]), abs=1e-6)
    along, across = axis @ points, np.array([axis[1], -axis[0]]) @ points
    assert (pose.length, pose.width) == pytest.approx((np.ptp(along) + 1, np.ptp(across) + 1))
    middle = (along.min() + along.max()) / 2 * axis + (across.min() + across.max()) / 2 * np.array([axis[1], -axis[0]])
    assert pose.center == pytest.approx(tuple(middle))
