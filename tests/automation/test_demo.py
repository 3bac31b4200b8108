"""`make demo` and `make clean-demo`, as they are, in a folder of their own."""

from pathlib import Path

import pytest

from automation.demo import TENANTS, main

pytestmark = pytest.mark.timeout(400)


def test_the_demo_and_its_end(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    try:
        assert main(["run"], root=tmp_path) == 0, capfd.readouterr()
        told = capfd.readouterr()
        for tenant in TENANTS:
            assert f"up of {tenant}: succeeded" in told.out
        assert "slots of 20 minutes, booking 21 days ahead" in told.out
        assert '~ settings.branding.primaryColor: "#0E7490" -> "#9D174D"' in told.out
        assert "up of petits-sourires: rolled back" in told.out
        assert "nothing to change" in told.out
        folder = tmp_path / ".tenantry" / "demo"
        passphrase = folder / "passphrase"
        assert passphrase.stat().st_mode & 0o777 == 0o600
        assert (folder / "env").stat().st_mode & 0o777 == 0o600
        assert passphrase.read_text() not in told.out + told.err
    finally:
        assert main(["clean"], root=tmp_path) == 0
    assert not folder.exists()
    assert "destroy of cabinet-rive: succeeded" in capfd.readouterr().out
    assert main(["clean"], root=tmp_path) == 0


def test_wrong_words(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["dance"], root=tmp_path) == 2
    assert "run|clean" in capfd.readouterr().err
