"""What the settings accept, refuse and hide."""

from datetime import timedelta
from pathlib import Path
from typing import Literal, get_args, get_origin

import msgspec
import pytest

from daybook.setting_values import RateLimit
from daybook.settings import Settings, SettingsError

SECRET = "vD3q-8fKp2xW_7mNz4rT-9sLb6hYcJ1g"


def read(**variables: str) -> Settings:
    return Settings.from_environment(
        {f"DAYBOOK_{name.upper()}": value for name, value in variables.items()}
    )


def problems(**variables: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refused:
        read(**variables)
    return refused.value.problems


def test_an_empty_environment_is_a_development_on_this_machine() -> None:
    settings = Settings.from_environment({"PATH": "/usr/bin", "DAYBOOK_REDIS_URL": ""})
    assert settings == Settings()
    assert (settings.env, settings.host, settings.port) == ("development", "127.0.0.1", 8000)
    assert settings.login_rate_limit == RateLimit(5, timedelta(minutes=15))


def test_every_setting_is_read() -> None:
    settings = read(
        env="production",
        host="0.0.0.0",  # noqa: S104 - a value like any other
        port="80",
        data_dir="/srv/daybook",
        database_url="postgres://me:pw@db/daybook?sslmode=require",
        redis_url="rediss://cache:6380/1",
        jwt_secret=SECRET,
        master_key=f"{SECRET}  {SECRET[::-1]}",
        audit_witness_url="https://witness.example.org/daybook",
        audit_keys="aHVuLCBpdCBpcyBhIHNlY3JldCBhcyB3ZWxsIDMyIWI=",
        admin_email="ann@example.org",
        admin_password="correct horse",
        api_processes="2",
        worker_processes="3",
        rate_limit="7/90s",
        login_rate_limit="off",
        sign_ins_kept="90d",
        cors_origins="https://shop.example.com, http://localhost:3000",
        trusted_proxies="10.0.0.7, 192.168.0.0/16,fd00::/8",
        payment_window="2h",
        smtp_url="smtps://me:pw@mail:465",
        integration_events="5000",
        broker_url="amqps://me:pw@queue/shop",
        docs="off",
        cache="redis",
    )
    assert settings == Settings(
        env="production",
        host="0.0.0.0",  # noqa: S104 - a value like any other
        port=80,
        data_dir=Path("/srv/daybook"),
        database_url="postgresql://me:pw@db/daybook?sslmode=require",
        redis_url="rediss://cache:6380/1",
        jwt_secret=SECRET,
        master_key=f"{SECRET} {SECRET[::-1]}",
        audit_witness_url="https://witness.example.org/daybook",
        audit_keys=(b"hun, it is a secret as well 32!b",),
        admin_email="ann@example.org",
        admin_password="correct horse",
        api_processes=2,
        worker_processes=3,
        rate_limit=RateLimit(7, timedelta(seconds=90)),
        login_rate_limit=None,
        sign_ins_kept=timedelta(days=90),
        cors_origins=("https://shop.example.com", "http://localhost:3000"),
        trusted_proxies=("10.0.0.7/32", "192.168.0.0/16", "fd00::/8"),
        payment_window=timedelta(hours=2),
        smtp_url="smtps://me:pw@mail:465",
        integration_events=5_000,
        broker_url="amqps://me:pw@queue/shop",
        docs="off",
        cache="redis",
    )
    assert read(integration_events="off").integration_events is None


def test_every_word_of_a_choice_is_taken() -> None:
    choices = {
        one.name: get_args(one.type)
        for one in msgspec.structs.fields(Settings)
        if get_origin(one.type) is Literal
    }
    assert {"env", "cache", "docs"} <= choices.keys()
    for name, words in choices.items():
        for word in words:
            given = {"jwt_secret": SECRET, "master_key": SECRET[::-1], name: word}
            assert getattr(read(**given), name) == word


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("env", "staging"),
        ("docs", "private"),
        ("host", "two words"),
        ("port", "0"),
        ("port", "65536"),
        ("port", "8_000"),
        ("port", "٨٠"),
        ("database_url", "mysql://db/daybook"),
        ("database_url", "postgresql://"),
        ("database_url", "postgresql://db:port/daybook"),
        ("redis_url", "http://cache"),
        ("redis_url", "unix://"),
        ("smtp_url", "mail:25"),
        ("integration_events", "999"),
        ("broker_url", "redis://queue"),
        ("integration_events", "on"),
        ("admin_email", "ann"),
        ("api_processes", "-1"),
        ("worker_processes", "many"),
        ("rate_limit", "100"),
        ("rate_limit", "0/15min"),
        ("rate_limit", "100/15"),
        ("login_rate_limit", "no"),
        ("trusted_proxies", "proxy.internal"),
        ("cors_origins", "*"),
        ("cors_origins", "https://*.example.com"),
        ("cors_origins", "https://shop.example.com/"),
        ("trusted_proxies", "10.0.0.0/33"),
        ("trusted_proxies", "10.0.0.1,"),
        ("payment_window", "0s"),
        ("payment_window", "99999999d"),
        ("payment_window", "half an hour"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name(name: str, value: str) -> None:
    wrong = problems(**{name: value})
    assert any(line.startswith(f"DAYBOOK_{name.upper()}={value} is not ") for line in wrong)


def test_all_wrong_values_are_told_at_once() -> None:
    assert len(problems(port="x", env="y", payment_window="z")) == 3


def test_a_misspelt_setting_is_refused() -> None:
    assert problems(prot="8001") == (
        "DAYBOOK_PROT is not a setting of Daybook; did you mean DAYBOOK_PORT?",
    )


@pytest.mark.parametrize(
    "secret",
    ["short", "secret" * 8, "changeme-" + SECRET, "x" * 64, "Change-Me-" + SECRET],
)
def test_a_weak_secret_is_refused_and_not_shown(secret: str) -> None:
    (line,) = problems(jwt_secret=secret)
    assert line.startswith("DAYBOOK_JWT_SECRET=*** is not ")
    assert secret not in line


def test_production_needs_a_secret() -> None:
    (line,) = problems(env="production", master_key=SECRET)
    assert line.startswith("DAYBOOK_JWT_SECRET is missing")


def test_a_secret_and_a_file_of_secrets_are_one_too_many() -> None:
    (line,) = problems(jwt_secret=SECRET, jwt_secret_file="/run/secrets/jwt")
    assert "choose one" in line
    in_file = read(env="production", jwt_secret_file="/run/secrets/jwt", master_key=SECRET)
    assert in_file.jwt_secret is None


def test_production_needs_a_master_key_once() -> None:
    (line,) = problems(env="production", jwt_secret=SECRET)
    assert line.startswith("DAYBOOK_MASTER_KEY or DAYBOOK_MASTER_KEY_FILE is missing")
    (line,) = problems(master_key=SECRET, master_key_file="/run/key")
    assert line.endswith("are both given: choose one.")


@pytest.mark.parametrize("secret", ["short", f"{SECRET} short", "x" * 64, " "])
def test_a_weak_master_key_is_refused_and_not_shown(secret: str) -> None:
    (line,) = problems(master_key=secret)
    assert line.startswith("DAYBOOK_MASTER_KEY=*** is not ")


@pytest.mark.parametrize(
    ("given", "missing"),
    [("admin_email", "DAYBOOK_ADMIN_PASSWORD"), ("admin_password", "DAYBOOK_ADMIN_EMAIL")],
)
def test_half_an_admin_is_refused(given: str, missing: str) -> None:
    (line,) = problems(**{given: "ann@example.org"})
    assert line.startswith(f"{missing} is missing")


def test_secrets_are_hidden_wherever_settings_are_shown() -> None:
    settings = read(
        jwt_secret=SECRET,
        audit_keys="aHVuLCBpdCBpcyBhIHNlY3JldCBhcyB3ZWxsIDMyIWI=",
        admin_email="ann@example.org",
        admin_password="correct horse",
        database_url="postgresql://me:hunter2@db/daybook?password=hunter3",
        redis_url="redis://:hunter4@cache:6379/0",
        smtp_url="smtp://me:hun@ter5@mail",
    )
    shown = f"{settings!r} {settings} {settings.masked()}"
    assert "hun" not in shown
    assert "aHVu" not in shown
    assert SECRET not in shown
    assert "correct horse" not in shown
    assert settings.masked()["DAYBOOK_PORT"] == "8000"
    assert settings.masked()["DAYBOOK_RATE_LIMIT"] == "100/15min"
    assert settings.masked()["DAYBOOK_DATABASE_URL"].startswith("postgresql://me:***@db/daybook")
