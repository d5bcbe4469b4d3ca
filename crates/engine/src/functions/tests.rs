use std::time::Instant;

use arrow::util::display::array_value_to_string;
use futures::TryStreamExt;

use crate::Error;
use crate::session::Sessions;
use crate::statement::{self, Purpose};

/// What `sql` answers: its values row by row.
async fn run(sql: &str) -> Result<Vec<String>, Error> {
    let folder = tempfile::tempdir().unwrap();
    let sessions = Sessions::new(64 << 20, folder.path(), 2).unwrap();
    let mut session = sessions.open(&"shop".parse().unwrap());
    let parsed = statement::parse(sql, Purpose::Query)?;
    let plan = session.plan(parsed.statement, Purpose::Query).await?;
    let plan = session.prepare(&plan).await?;
    let stream = session.execute(plan)?;
    let batches: Vec<_> = stream.try_collect().await?;
    let mut values = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            for column in batch.columns() {
                values.push(array_value_to_string(column, row).unwrap());
            }
        }
    }
    Ok(values)
}

/// The most memory that this process ever held.
fn peak_mebibytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes / 1024)
}

/// A statement that selects many things.
fn many(count: usize, item: impl Fn(usize) -> String) -> String {
    let items = (0..count).map(|n| match item(n) {
        row if row.starts_with('(') => row,
        item => format!("{item} AS c{n}"),
    });
    format!("select {}", items.collect::<Vec<_>>().join(", "))
}

#[tokio::test]
async fn values_that_do_not_fit_into_memory_are_refused_before_they_are_made() {
    let before = peak_mebibytes();
    for sql in [
        "select range(1, 10000000000000)",
        "select range(10000000000000)",
        "select range(10000000000000, 1, -1)",
        "select generate_series(1,10000000000000)",
        "select generate_series(date '0001-01-01', date '9999-12-31', interval '1 day')",
        "select range(timestamp '2000-01-01', timestamp '2030-01-01', interval '1 microsecond')",
        "select range(timestamp '2001-02-01', timestamp '2030-01-01', interval '1 month -28 days')",
        "select array_repeat(1, 10000000000000)",
        "select array_repeat([1,2,3], 10000000)",
        "select array_length(array_resize([1],10000000000000,0))",
        "select array_length(array_resize([1],10000000000000))",
        "select length(lpad('x',2000000000))",
        "select length(rpad('x',2000000000,'é'))",
        "select length(repeat('x',2000000000))",
        "select length(repeat(repeat('x',100000),20000))",
        "select length(replace(repeat('x',1000000),'x',repeat('y',1000)))",
        "select length(replace(repeat('x',1000000),'',repeat('y',1000)))",
        "select length(regexp_replace(repeat('x',1000000),'',repeat('y',1000),'g'))",
        "select length(regexp_replace(repeat('x',1000000),'(x+)',repeat('\\1',1000)))",
        "select length(array_to_string(range(1,1000000),repeat('y',1000)))",
        "select length(array_to_string([range(1,1000000)],repeat('y',1000)))",
        "select array_replace_all(array_repeat('x',100000),'x',repeat('y',1000))",
        "select length(concat(repeat('x',9000000),repeat('y',9000000)))",
        "select length(concat_ws(',',repeat('x',9000000),repeat('y',9000000)))",
        "select length(repeat('x',9000000) || repeat('y',9000000))",
        "select length(overlay(repeat('x',9000000) placing repeat('y',9000000) from 1 for 0))",
        "select length(encode(repeat('x',9000000),'hex'))",
        "select array_length(string_to_array(repeat('x,',1000000),','))",
        "select array_length(range(1,1500000) || range(1,1500000))",
        "select array_length([repeat('x',9000000), repeat('x',9000000)])",
        "select repeat('x',1000000 + value) c from range(1,3000)",
        "select repeat(cast(value as text), 1000000) c from range(1,3000)",
        "select cast(value as text) || repeat('x',1000000) c from range(1,3000)",
        "select range(1, 100000 + value) c from range(1,3000)",
        "select [repeat('x',1000000), cast(value as text)] c from range(1,3000)",
        "select named_struct('a', repeat('x',1000000), 'b', value) c from range(1,3000)",
        // Constants that the planner would copy, or that every row would have.
        "select repeat('x',1000000) c from range(1,3000)",
        "select strpos(cast(value as text), repeat('x',1000000)) c from range(1,3000)",
        "select max(repeat('x',1000000)) c from range(1,3000)",
        &many(500, |n| format!("repeat('{n}', 5000000)")),
        &format!(
            "{} from range(1, 8000)",
            many(500, |n| format!(
                "repeat(cast(value as text), {})",
                5000 + n
            ))
        ),
        &many(500, |n| format!("range({n}, 2000000)")),
        &format!(
            "{} from (select repeat('x',1000000) x)",
            many(2000, |_| "x".to_owned())
        ),
        &format!(
            "values {}",
            many(500, |n| format!("(repeat('{n}', 1000000))")).replace("select ", "")
        ),
    ] {
        let started = Instant::now();
        let error = run(sql).await.expect_err(sql);
        eprintln!("{:?} {sql}: {error}", started.elapsed());
        assert!(
            ["VALUE_TOO_LARGE", "EXECUTION_FAILED", "OUT_OF_MEMORY"].contains(&error.reason()),
            "{sql}: {}: {error}",
            error.reason()
        );
        assert!(
            ["at most", "a step must", "the memory limit is reached"]
                .iter()
                .any(|text| error.to_string().contains(text)),
            "{sql}: {error}"
        );
        assert!(started.elapsed().as_secs() < 10, "{sql}");
    }
    if let (Some(before), Some(after)) = (before, peak_mebibytes()) {
        assert!(after - before < 600, "{before} MiB became {after} MiB");
    }
}

#[tokio::test]
async fn batches_have_fewer_rows_where_constants_are_large() {
    for (constant, bytes) in [
        ("repeat('x', 16000)", 16_000),
        ("range(1, 100000)", 800_000),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let sessions = Sessions::new(64 << 20, folder.path(), 2).unwrap();
        let mut session = sessions.open(&"shop".parse().unwrap());
        let sql = format!("select {constant} c from range(0, 10000)");
        let parsed = statement::parse(&sql, Purpose::Query).unwrap();
        let plan = session.plan(parsed.statement, Purpose::Query).await;
        let plan = session.prepare(&plan.unwrap()).await.unwrap();
        let mut stream = session.execute(plan).unwrap();
        let mut rows = 0;
        while let Some(batch) = stream.try_next().await.unwrap() {
            rows += batch.num_rows();
            assert!(
                batch.num_rows() * bytes <= 64 << 20,
                "{sql}: {}",
                batch.num_rows()
            );
        }
        assert_eq!(rows, 10_000);
    }
}

#[tokio::test]
async fn functions_with_a_bound_do_what_they_did() {
    for (sql, expected) in [
        ("select repeat('ab', 3)", "abababab"),
        ("select repeat(null, 3)", ""),
        ("select repeat('x', -3)", ""),
        ("select length(repeat('x', 16000000))", "16000000"),
        ("select lpad('7', 3, '0') || rpad('x', 3, '.')", "007x.."),
        ("select lpad('hello', 2)", "he"),
        ("select 'a' || null", ""),
        ("select 'a' || 1 || true", "a1true"),
        ("select concat('a', null, 'b')", "ab"),
        ("select concat_ws('-', 'a', null, 'b')", "a-b"),
        ("select [1] || 2 || [3]", "[1, 2, 3]"),
        ("select range(3)", "[0, 1, 2]"),
        ("select generate_series(3, 1, -1)", "[3, 2, 1]"),
        ("select array_length(range(1, 1000001))", "1000000"),
        (
            "select array_length(range(date '2020-01-01', date '2021-01-01', interval '1 month'))",
            "12",
        ),
        ("select array_repeat('x', 2)", "[x, x]"),
        ("select array_resize([1], 3, 9)", "[1, 9, 9]"),
        ("select array_to_string([1, null, 3], ',', '-')", "1,-,3"),
        ("select string_to_array('a,b', ',')", "[a, b]"),
        ("select replace('aXbX', 'X', '--')", "a--b--"),
        ("select regexp_replace('abc', '(b)', '[\\1]', 'g')", "a[b]c"),
        ("select overlay('abcd' placing 'X' from 2 for 1)", "aXcd"),
        ("select encode('az', 'hex')", "617a"),
        ("select coalesce(null, 'x')", "x"),
        ("select named_struct('a', 1)['a']", "1"),
        ("select map {'a': 1}['a']", "1"),
        ("select array_union([1], [2])", "[1, 2]"),
        ("select array_has([1, 2], 2)", "true"),
    ] {
        let answer = run(sql).await.map_err(|error| format!("{sql}: {error}"));
        let expected = if sql == "select repeat('ab', 3)" {
            "ababab"
        } else {
            expected
        };
        assert_eq!(
            answer.as_deref(),
            Ok([expected.to_owned()].as_slice()),
            "{sql}"
        );
    }
}

#[tokio::test]
async fn functions_with_a_bound_take_columns() {
    let rows = "(values ('a', 2, 'x'), (null, 3, 'y'), ('bc', null, 'z')) t(s, n, u)";
    for (call, expected) in [
        ("repeat(s, n)", ["aa", "", ""]),
        ("lpad(s, n, u)", ["xa", "", ""]),
        ("s || u", ["ax", "", "bcz"]),
        ("s || '!'", ["a!", "", "bc!"]),
        ("concat(s, u, n)", ["ax2", "y3", "bcz"]),
        ("replace(s, 'a', u)", ["x", "", "bc"]),
        ("regexp_replace(s, '[ab]', u)", ["x", "", "zc"]),
        ("array_repeat(u, n)", ["[x, x]", "[y, y, y]", ""]),
        ("range(n)", ["[0, 1]", "[0, 1, 2]", ""]),
        ("[s, u]", ["[a, x]", "[, y]", "[bc, z]"]),
        ("array_to_string([s, u], ',')", ["a,x", "y", "bc,z"]),
        ("array_resize([n], 2)", ["[2, ]", "[3, ]", "[, ]"]),
        ("encode(s, 'hex')", ["61", "", "6263"]),
        ("s || arrow_cast(u, 'Utf8View')", ["ax", "", "bcz"]),
    ] {
        let sql = format!("select {call} from {rows} order by u");
        let answer = run(&sql).await.map_err(|error| format!("{sql}: {error}"));
        assert_eq!(answer, Ok(expected.map(str::to_owned).to_vec()), "{sql}");
    }
    let sql = "select sum(length('n' || value || repeat('é', value % 9))) from range(0, 100000)";
    assert_eq!(run(sql).await.unwrap(), ["988886"]);
}

#[tokio::test]
async fn columns_are_named_after_the_operator() {
    let folder = tempfile::tempdir().unwrap();
    let sessions = Sessions::new(64 << 20, folder.path(), 2).unwrap();
    let session = sessions.open(&"shop".parse().unwrap());
    let sql = "select a || 'x', repeat(a, 2) from (values ('y')) t(a)";
    let parsed = statement::parse(sql, Purpose::Query).unwrap();
    let plan = session
        .plan(parsed.statement, Purpose::Query)
        .await
        .unwrap();
    let names: Vec<_> = plan
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    assert_eq!(names, ["t.a || Utf8(\"x\")", "repeat(t.a,Int64(2))"]);
}
