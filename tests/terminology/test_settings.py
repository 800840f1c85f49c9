import pytest

from terminology.settings import TRUST, HeaderSettings, SettingsError


def written(tmp_path, text):
    path = tmp_path / "headers.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_a_file_does_not_set_keeps_its_default(tmp_path):
    assert HeaderSettings.read(written(tmp_path, "")) == HeaderSettings()
    read = HeaderSettings.read(written(tmp_path, "accept_from = 0.6\nmisspellings = false\n"))
    assert read == HeaderSettings(accept_from=0.6, misspellings=False)


def test_the_order_of_trust_is_read(tmp_path):
    text = 'trust = ["StudyDescription", "BodyPartExamined"]'
    assert HeaderSettings.read(written(tmp_path, text)).trust == (
        "StudyDescription",
        "BodyPartExamined",
    )


def test_the_example_of_the_documentation_is_read(tmp_path):
    from terminology import settings

    text = (settings.__doc__ or "").partition("::")[2]
    read = HeaderSettings.read(written(tmp_path, text))
    assert read.trust[-1] == "BodyPartExamined"
    assert not read.misspellings


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "acept_from = 0.5",
            r"headers.toml acept_from: 'acept_from' is no setting; expected one of",
        ),
        ("accept_from = 2", r"accept_from: '2'; expected a number from 0 to 1"),
        ("accept_from = true", r"accept_from: 'True'; expected a number"),
        ("misspellings = 1", r"misspellings: '1'; expected true or false"),
        ('trust = "BodyPartExamined"', r"trust: 'BodyPartExamined'; expected a list"),
        ("trust = []", r"trust: '\[\]'; expected a list"),
        ('trust = ["PatientName"]', r"trust: 'PatientName' names no site; expected keywords of"),
        ('trust = ["BodyPartExamined", "BodyPartExamined"]', r"stands twice"),
        ("accept_from = ", r"headers.toml: is no TOML"),
    ],
)
def test_what_there_is_not_is_refused_with_its_key(tmp_path, text, message):
    with pytest.raises(SettingsError, match=message):
        HeaderSettings.read(written(tmp_path, text))


def test_all_wrong_settings_are_named_at_once(tmp_path):
    with pytest.raises(SettingsError) as caught:
        HeaderSettings.read(written(tmp_path, "accept_from = -1\nmisspelings = false\n"))
    assert "accept_from" in str(caught.value)
    assert "misspelings" in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"none.toml: cannot be read"):
        HeaderSettings.read(tmp_path / "none.toml")


def test_every_keyword_of_the_default_order_may_be_set(tmp_path):
    text = f"trust = {list(TRUST)!r}".replace("'", '"')
    assert HeaderSettings.read(written(tmp_path, text)).trust == TRUST


def test_the_table_of_the_fusion_is_passed_over(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text("refine_from = 0.5\n[fusion]\ntau_hi = 0.9\n", encoding="utf-8")
    assert HeaderSettings.read(file).refine_from == 0.5
    file.write_text("fusion = 3\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="fusion"):
        HeaderSettings.read(file)
