"""The registry and its names: entries, suggestions for misspelt names, and names of models and backbones."""

import pytest

from gricol_zoo import MODELS, SPLITTERS, GricolZooError, create_model, is_model, list_models
from gricol_zoo.models.names import ModelName, parse_backbone_name, parse_model_name
from gricol_zoo.registry import Registry


def test_adds_gets_and_lists():
    table = Registry("thing", "nobody.things")
    table.add("b", 1)

    @table.register("a")
    def thing(): ...

    assert table.get("a") is thing
    assert table.names() == ["a", "b"] == list(table)
    assert "a" in table
    assert "c" not in table


def test_refuses_doubles():
    table = Registry("thing", "nobody.things")
    table.add("a", 1)
    with pytest.raises(GricolZooError, match="thing named 'a' is already registered"):
        table.add("a", 2)
    assert table.get("a") == 1


def test_a_miss_suggests_near_names():
    table = Registry("thing", "nobody.things")
    table.add("reconstruction", 1)
    with pytest.raises(GricolZooError, match=r"Unknown thing 'reconstuction'\. Did you mean reconstruction"):
        table.get("reconstuction")
    with pytest.raises(GricolZooError, match="Known: reconstruction"):
        table.get("zzz")


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("gricol_r50half_n3", ModelName(arch="gricol_r50half_n3")),
        ("gricol_r50half_n3.qband", ModelName(arch="gricol_r50half_n3", tag="qband")),
        ("hf-hub:org/repo", ModelName(repo="org/repo")),
        ("hf-hub:org/repo@v1", ModelName(repo="org/repo", revision="v1")),
        ("local-dir:/a/b.c", ModelName(path="/a/b.c")),
        ("a.b.c", ModelName(arch="a", tag="b.c")),
    ],
)
def test_model_names(name, parsed):
    assert parse_model_name(name) == parsed


@pytest.mark.parametrize("name", ["", "org/repo", "a\\b", "hf-hub:repo", "hf-hub:a/b/c", "local-dir:", "x:y", "hf-hub:/b"])
def test_hostile_model_names(name):
    with pytest.raises(GricolZooError, match="Expected"):
        parse_model_name(name)


def test_backbone_names():
    assert parse_backbone_name("timm/resnet18.a1_in1k") == (True, "resnet18.a1_in1k")
    assert parse_backbone_name("r50half") == (False, "r50half")


def test_a_name_that_changed_goes_on_working_with_a_warning(monkeypatch):
    for registry, old, new in ((MODELS, "old_gricol", "gricol_r18half_n3_128"), (SPLITTERS, "overlapping", "overlap")):
        monkeypatch.setitem(registry.aliases, old, new)
    with pytest.warns(FutureWarning, match="'old_gricol' is now called 'gricol_r18half_n3_128'"):
        model = create_model("old_gricol")
    assert model.spec == MODELS.get("gricol_r18half_n3_128")
    with pytest.warns(FutureWarning, match="the old name will be removed"):
        assert create_model("old_gricol.qband", pretrained=True).info["tag"] == "qband"
    with pytest.warns(FutureWarning, match="The splitter 'overlapping'"):
        create_model("gricol_r18half_n3_128", splitter="overlapping")  # as an old config.json has it
    assert is_model("old_gricol")
    assert "old_gricol" not in list_models()
