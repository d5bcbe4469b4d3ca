use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use datafusion::catalog::TableProvider as _;
use expect_test::expect;

use super::*;

fn read(files: &[(&str, &str)], options: &JsonOptions) -> Result<Vec<RecordBatch>, String> {
    let folder = tempfile::tempdir().unwrap();
    let sources = files.iter().map(|(name, text)| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        SourceFile::new((*name).to_owned(), path, text.len() as u64)
    });
    let table = open(sources.collect(), options, 1).map_err(|error| error.to_string())?;
    let all: Vec<usize> = (0..table.schema().fields().len()).collect();
    let mut batches = Vec::new();
    for file in table.files() {
        let mut sink = |batch| {
            batches.push(batch);
            true
        };
        file.read(&table.schema(), &all, 100, &mut sink)
            .map_err(|error| error.to_string())?;
    }
    Ok(batches)
}

fn columns(text: &[(&str, DataType)]) -> JsonOptions {
    let columns = text.iter().map(|(n, t)| ((*n).to_owned(), t.clone()));
    JsonOptions {
        sample: 1,
        columns: Some(columns.collect()),
    }
}

const INFER: JsonOptions = JsonOptions {
    sample: 100,
    columns: None,
};

#[test]
fn lines_and_arrays_are_read_and_merged_by_name() {
    let batches = read(
        &[
            (
                "a.json",
                "{\"id\": 1, \"tags\": [\"x\", \"y\"]}\n{\"id\": 2.5}\n",
            ),
            (
                "b.json",
                "[\n  {\"id\": 3,\n   \"name\": \"a, [b] \\\" c\"}, {\"id\": 4}\n]",
            ),
        ],
        &INFER,
    );
    expect![[r#"
        +-----+--------+------------+
        | id  | tags   | name       |
        +-----+--------+------------+
        | 3.0 |        | a, [b] " c |
        | 4.0 |        |            |
        | 1.0 | [x, y] |            |
        | 2.5 |        |            |
        +-----+--------+------------+
    "#]]
    .assert_eq(&format!(
        "{}\n",
        pretty_format_batches(&batches.unwrap()).unwrap()
    ));
}

#[test]
fn malformed_text_is_named_with_its_line() {
    let error = read(&[("a.json", "{\"id\": 1}\n{\"id\": \n")], &INFER).unwrap_err();
    assert!(error.starts_with("a.json, line 2: "), "{error}");
    let error = read(&[("a.json", "[{\"id\": 1}, {\"id\" 2}]")], &INFER).unwrap_err();
    assert!(
        error.starts_with("a.json: element 2 of the array: "),
        "{error}"
    );
}

/// Older tests had mistakes that the decoder finds as well.
#[test]
fn what_only_the_sample_finds_is_named_with_its_line() {
    for (object, told) in [
        ("{\"a\":3,}", "not valid JSON: trailing comma (column 8)"),
        (
            "{\"a\":1e400}",
            "not valid JSON: number out of range (column 10)",
        ),
    ] {
        let text = format!("{{\"a\":1}}\n\n{object}\n{{\"a\":4}}\n");
        let error = read(&[("y.json", &text)], &INFER).unwrap_err();
        assert_eq!(error, format!("y.json, line 3: {told}"));
        let text = format!("[{{\"a\":1}},\n{object}]");
        let error = read(&[("y.json", &text)], &INFER).unwrap_err();
        assert!(
            error.starts_with("y.json: element 2 of the array: not valid JSON: "),
            "{error}"
        );
    }
}

#[test]
fn a_value_of_the_wrong_type_is_named_with_its_line() {
    let options = JsonOptions {
        sample: 1,
        columns: Some(vec![("id".to_owned(), DataType::Int64)]),
    };
    let error = read(&[("a.json", "{\"id\": 1}\n{\"id\": \"x\"}\n")], &options).unwrap_err();
    assert!(error.starts_with("a.json, line 2: "), "{error}");
}

#[test]
fn a_field_that_the_sample_did_not_have_is_no_silent_loss() {
    let options = JsonOptions {
        sample: 1,
        columns: None,
    };
    let error = read(
        &[("a.json", "{\"id\": 1}\n{\"id\": 2, \"x\": 3}\n")],
        &options,
    )
    .unwrap_err();
    assert!(error.starts_with("a.json, line 2: "), "{error}");
    assert!(error.contains('x'), "{error}");
}

#[test]
fn a_number_that_would_lose_digits_is_named_with_its_line() {
    let options = columns(&[
        ("n", DataType::Int64),
        ("price", DataType::Decimal128(10, 2)),
    ]);
    for (value, expected) in [
        (
            "\"n\": 1.9",
            "value \"1.9\" for column \"n\" of type Int64 is not a whole number",
        ),
        (
            "\"price\": 1.239",
            "value \"1.239\" for column \"price\" of type Decimal128(10, 2) has more decimal places than the column",
        ),
    ] {
        let text = format!("{{\"n\": 1}}\n\n{{\"n\":\n 2.0}}\n{{{value}}}\n");
        let error = read(&[("a.json", &text)], &options).unwrap_err();
        assert_eq!(error, format!("a.json, line 5: {expected}"));
    }
    let mut text = String::new();
    for row in 0..30_000 {
        text.push_str(&format!("{{\"n\": {row}}}\n"));
    }
    text.push_str("{\"n\": 1.5}\n");
    let error = read(&[("a.json", &text)], &INFER).unwrap_err();
    assert!(
        error.starts_with("a.json, line 30001: value \"1.5\""),
        "{error}"
    );
}

#[test]
fn numbers_within_lists_and_objects_are_looked_at_too() {
    let text = "{\"a\": {\"b\": [1, null, 3]}, \"c\": null}\n{\"a\": null, \"c\": [1.5]}\n";
    let batches = read(&[("a.json", text)], &INFER).unwrap();
    expect![[r#"
        +---------------+-------+
        | a             | c     |
        +---------------+-------+
        | {b: [1, , 3]} |       |
        |               | [1.5] |
        +---------------+-------+
    "#]]
    .assert_eq(&format!("{}\n", pretty_format_batches(&batches).unwrap()));
    let options = JsonOptions { sample: 1, ..INFER };
    let text = "{\"a\": {\"b\": [1]}}\n{\"a\": {\"b\": [1, 2.5]}}\n";
    let error = read(&[("a.json", text)], &options).unwrap_err();
    assert!(
        error.starts_with("a.json, line 2: value \"2.5\""),
        "{error}"
    );
}

#[test]
fn an_array_that_is_cut_off_is_refused() {
    for text in [
        "[{\"id\":1},\n{\"id\":2}",
        "[{\"id\":1},\n]",
        "[\n{\"id\":1}}",
    ] {
        let error = read(&[("a.json", text)], &INFER).unwrap_err();
        assert!(error.starts_with("a.json, line 2: "), "{error}");
    }
}

#[test]
fn a_file_without_objects_is_named() {
    for text in ["", "[]", " \n"] {
        let error = read(&[("a.json", text)], &INFER).unwrap_err();
        assert!(error.starts_with("a.json: "), "{error}");
        let options = columns(&[("id", DataType::Int64)]);
        assert_eq!(read(&[("a.json", text)], &options).unwrap().len(), 0);
    }
}
