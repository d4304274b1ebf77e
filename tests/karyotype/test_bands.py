"""What a model's name says about its banding."""

from gricol_zoo.karyotype import bands


def test_the_band_is_told_by_the_name():
    assert bands.with_band("r18half_192.pki3") == "r18half_192.pki3 (G-bands)"
    assert bands.with_band("runs/mine") == "runs/mine"
    assert bands.band_of("r18half_192.qband") == "Q-bands"
