"""Settings: what is wrong is named, with a hint; variables override the file."""

from __future__ import annotations

import pytest

from zhiyin.core.config import Section, Settings, load_settings, validate_settings
from zhiyin.core.config_text import render_settings
from zhiyin.core.errors import ConfigError, WorkspaceError


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "zhiyin.toml").write_text('name = "知音珠宝"\ncurrency = "CNY"\n', encoding="utf-8")
    return tmp_path


def test_defaults_fill_what_the_file_leaves_out(workspace):
    settings = load_settings(workspace, {})
    assert (settings.name, settings.currency, settings.decide.max_share) == ("知音珠宝", "CNY", 0.3)


def test_a_variable_overrides_the_file(workspace):
    settings = load_settings(workspace, {"ZHIYIN_DECIDE__MAX_SHARE": "0.2", "ZHIYIN_NAME": "B"})
    assert (settings.decide.max_share, settings.name) == (0.2, "B")


def test_an_unknown_key_is_named(workspace):
    with pytest.raises(ConfigError, match=r"decide\.max_shares"):
        load_settings(workspace, {"ZHIYIN_DECIDE__MAX_SHARES": "0.2"})


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"name": "x", "zone": "Mars/Base"}, "zone"),
        ({"name": "x", "currency": "dollars"}, "currency"),
        ({"name": ""}, "name"),
        ({"name": "x", "decide": {"max_share": 3}}, "decide.max_share"),
    ],
)
def test_a_value_outside_its_range_is_named(values, named):
    with pytest.raises(ConfigError, match=named):
        validate_settings(values, where="zhiyin.toml")


def test_a_folder_without_settings_says_how_to_make_a_workspace(tmp_path):
    with pytest.raises(WorkspaceError) as caught:
        load_settings(tmp_path, {})
    assert "zhiyin init" in caught.value.hint


def test_broken_toml_is_an_error_with_the_file_name(tmp_path):
    (tmp_path / "zhiyin.toml").write_text("name = ", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"zhiyin\.toml"):
        load_settings(tmp_path, {})


def test_rendered_settings_read_back_equal(tmp_path):
    settings = validate_settings(
        {"name": 'A "good" shop\\知', "zone": "Asia/Shanghai", "decide": {"budget_minor": 5}},
        where="test",
    )
    (tmp_path / "zhiyin.toml").write_text(render_settings(settings), encoding="utf-8")
    assert load_settings(tmp_path, {}) == settings
    assert load_settings(tmp_path, {"ZHIYIN_DECIDE__BUDGET_MINOR": "7"}) != settings


def test_every_setting_is_described():
    undescribed = [
        f"{name}.{key}"
        for name, value in Settings(name="x")
        if isinstance(value, Section)
        for key, field in type(value).model_fields.items()
        if not field.description
    ]
    assert undescribed == []
