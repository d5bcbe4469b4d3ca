boot()
rat("apply /etc/scenario/slow")
run = start_slow_run()
machine.shutdown()
boot()

with subtest("a run that is under way is finished before the machine is down"):
    assert run_status(run) == "success"
    assert query("SELECT numbers FROM slow.bronze.count") == [{"numbers": 10_000_000}]

with subtest("the next run succeeds, and nothing has failed"):
    assert finish(start_run("slow.bronze.count")) == "success"
    assert machine.succeed("systemctl --failed --no-legend").strip() == ""
