LAKE = "/var/lib/rat/lake"
PAGE = "backup-and-restore"
KEPT = "/var/lib/private/rat-plugins/auth"


def follow(lines: list[str]) -> str:
    """Executes commands as somebody would who has an API key."""
    return machine.succeed("\n".join(["export RAT_API_KEY_FILE=/etc/scenario/token", *lines]), timeout=SOON)


def state() -> Any:
    """What somebody would miss."""
    return {
        "pipelines": sorted(found["name"] for found in api("/api/v1/pipelines")["pipelines"]),
        "runs": sorted((found["id"], found["status"]) for found in api("/api/v1/runs")["runs"]),
        "rows": query("SELECT count(*) AS days, sum(revenue) AS revenue FROM shop.silver.daily"),
    }


def drill(database: str, back_up: list[str], restore: list[str]) -> None:
    """A backup, the loss of everything after more work, and the way back."""
    rat("apply /etc/scenario/shop")
    rat("run --all --namespace shop --wait")
    before = state()
    assert before["rows"] == [{"days": 3, "revenue": "86.65"}], before

    with subtest(f"with {database}: a backup can be made"):
        follow(back_up)
        all_is_well()

    owner = machine.succeed(f"stat --format=%u {KEPT}").strip()
    rat("apply /etc/scenario/slow")
    assert finish(start_run("slow.bronze.count")) == "success"
    machine.succeed(f"find {LAKE} -mindepth 1 -delete", f"rm {KEPT}/note")

    with subtest(f"with {database}: tables, pipelines and runs are those of the backup"):
        follow(restore)
        all_is_well()
        assert state() == before, state()
        api("/api/v1/tables/slow/bronze/count", expect=404)

    with subtest(f"with {database}: a plugin finds what it kept"):
        api("/api/v1/me")
        machine.require_unit_state(PLUGIN)
        assert machine.succeed(f"cat {KEPT}/note; stat --format=%u {KEPT}/note").split() == ["kept", owner]

    with subtest(f"with {database}: the page's last look finds them, and the next run succeeds"):
        shown = follow(block(PAGE, "rat health"))
        assert "silver.daily" in shown and shown.split()[-1] == "3", shown
        rat("run --all --namespace shop --wait")
        assert machine.succeed("systemctl --failed --no-legend").strip() == ""


boot()
machine.succeed(f"echo kept > {KEPT}/note; chown --reference={KEPT} {KEPT}/note")
of_postgresql, back = block(PAGE, "pg_dump"), block(PAGE, "find ")
of_postgresql += block(PAGE, "tar --create", "plugins.tar")
back[-1:-1] = block(PAGE, "systemctl stop 'rat-plugin-*.service'")
drill("PostgreSQL", of_postgresql, back)

# As the page says it: other steps for the database, and the same for the lake.
of_sqlite = [line for line in of_postgresql if "pg_dump" not in line]
of_sqlite[1:1] = block(PAGE, "systemctl stop", "cp --preserve", "systemctl start")
place = next(number for number, line in enumerate(back) if "postgres" in line)
back = [line for line in back if "postgres" not in line]
back[place:place] = block(PAGE, "rm -f")
machine.succeed(f"find {LAKE} -mindepth 1 -delete")
switch("sqlite")
all_is_well()
drill("SQLite", of_sqlite, back)
