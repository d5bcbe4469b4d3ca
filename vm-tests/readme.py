with subtest("the snippet makes a data platform"):
    boot()
    assert api("/api/v1/me", token=None)["user_id"] == "anonymous"

with subtest("the README's calls work on it"):
    shown = machine.succeed("cd /etc/scenario; bash -eu readme.sh", timeout=SOON)
    assert "42.50" in shown, shown
