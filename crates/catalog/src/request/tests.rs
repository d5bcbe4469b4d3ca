use serde_json::json;

use super::*;

fn parse(requirements: Value, updates: Value) -> Result<Change, String> {
    let body = json!({"requirements": requirements, "updates": updates});
    let body: CommitBody = serde_json::from_value(body).map_err(|error| error.to_string())?;
    Change::parse(body).map_err(|error| error.to_string())
}

#[test]
fn every_update_of_the_specification_is_understood() {
    let schema = json!({"type": "struct", "schema-id": 0, "fields": [
        {"id": 1, "name": "id", "required": false, "type": "long"}]});
    let snapshot = json!({"snapshot-id": 1, "sequence-number": 1, "timestamp-ms": 1,
        "manifest-list": "file:///a", "summary": {"operation": "append"}});
    let updates = json!([
        {"action": "assign-uuid", "uuid": "0190a000-0000-7000-8000-000000000001"},
        {"action": "upgrade-format-version", "format-version": 2},
        {"action": "add-schema", "schema": schema, "last-column-id": 1},
        {"action": "set-current-schema", "schema-id": -1},
        {"action": "add-spec", "spec": {"spec-id": 0, "fields": []}},
        {"action": "set-default-spec", "spec-id": -1},
        {"action": "add-sort-order", "sort-order": {"order-id": 0, "fields": []}},
        {"action": "set-default-sort-order", "sort-order-id": -1},
        {"action": "add-snapshot", "snapshot": snapshot},
        {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": 1,
         "max-ref-age-ms": null, "max-snapshot-age-ms": null, "min-snapshots-to-keep": null},
        {"action": "remove-snapshots", "snapshot-ids": [1]},
        {"action": "remove-snapshot-ref", "ref-name": "old"},
        {"action": "set-location", "location": "file:///a"},
        {"action": "set-properties", "updates": {"a": "b"}},
        {"action": "remove-properties", "removals": ["a"]},
        {"action": "set-statistics", "snapshot-id": 1, "statistics": {"snapshot-id": 1,
         "statistics-path": "file:///a", "file-size-in-bytes": 1, "file-footer-size-in-bytes": 1,
         "blob-metadata": []}},
        {"action": "remove-statistics", "snapshot-id": 1},
        {"action": "set-partition-statistics", "partition-statistics": {"snapshot-id": 1,
         "statistics-path": "file:///a", "file-size-in-bytes": 1}},
        {"action": "remove-partition-statistics", "snapshot-id": 1},
        {"action": "remove-partition-specs", "spec-ids": [1]},
        {"action": "remove-schemas", "schema-ids": [1]},
        {"action": "add-encryption-key", "encryption-key": {"key-id": "a",
         "encrypted-key-metadata": "YQ=="}},
        {"action": "remove-encryption-key", "key-id": "a"},
    ]);
    let change = parse(json!([]), updates.clone()).unwrap();
    assert_eq!(change.updates.len(), UPDATES.len(), "one example for each");
    let names: Vec<_> = updates
        .as_array()
        .unwrap()
        .iter()
        .map(|u| u["action"].clone())
        .collect();
    assert_eq!(
        names,
        UPDATES
            .iter()
            .map(|(name, _)| json!(name))
            .collect::<Vec<_>>()
    );
    assert_eq!(change.updates[2].last_column_id, Some(1));
}

#[test]
fn every_requirement_of_the_specification_is_understood() {
    let requirements = json!([
        {"type": "assert-create"},
        {"type": "assert-table-uuid", "uuid": "0190a000-0000-7000-8000-000000000001"},
        {"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": null},
        {"type": "assert-last-assigned-field-id", "last-assigned-field-id": 1},
        {"type": "assert-current-schema-id", "current-schema-id": 1},
        {"type": "assert-last-assigned-partition-id", "last-assigned-partition-id": 999},
        {"type": "assert-default-spec-id", "default-spec-id": 0},
        {"type": "assert-default-sort-order-id", "default-sort-order-id": 0},
    ]);
    let change = parse(requirements, json!([])).unwrap();
    assert_eq!(
        change.requirements.len(),
        REQUIREMENTS.len(),
        "one example for each"
    );
    assert!(change.creates());
}

#[test]
fn what_is_not_understood_is_named() {
    for (requirement, named) in [
        (json!({"type": "assert-moon-phase"}), "assert-moon-phase"),
        (json!({"kind": "assert-create"}), "\"type\""),
        (json!({"type": 7}), "\"type\""),
        (
            json!({"type": "assert-create", "really": true}),
            "\"really\"",
        ),
        (
            json!({"type": "assert-table-uuid", "uuid": "no"}),
            "assert-table-uuid",
        ),
        (
            json!({"type": "assert-ref-snapshot-id", "ref": "main"}),
            "snapshot-id",
        ),
        (
            json!({"type": "assert-view-uuid", "uuid": "0190a000-0000-7000-8000-000000000001"}),
            "assert-view-uuid",
        ),
    ] {
        let error = parse(json!([requirement]), json!([])).unwrap_err();
        assert!(
            error.contains(named) && error.contains("requirement 1"),
            "{error}"
        );
    }
    for (update, named) in [
        (json!({"action": "set-moon-phase"}), "set-moon-phase"),
        (
            json!({"action": "add-view-version", "view-version": {}}),
            "add-view-version",
        ),
        (
            json!({"action": "set-current-view-version", "view-version-id": 1}),
            "views",
        ),
        (json!({"type": "add-schema"}), "\"action\""),
        (
            json!({"action": "set-location", "location": "a", "force": true}),
            "\"force\"",
        ),
        (json!({"action": "set-location"}), "location"),
        (
            json!({"action": "add-snapshot", "snapshot": {"snapshot-id": 1}}),
            "add-snapshot",
        ),
        (
            json!({"action": "set-snapshot-ref", "ref-name": "t", "type": "tag", "snapshot-id": 1,
                "min-snapshots-to-keep": 3}),
            "min-snapshots-to-keep",
        ),
        (
            json!({"action": "set-snapshot-ref", "ref-name": "t", "type": "twig", "snapshot-id": 1}),
            "twig",
        ),
    ] {
        let error = parse(json!([]), json!([update])).unwrap_err();
        assert!(
            error.contains(named) && error.contains("update 1"),
            "{error}"
        );
    }
    assert!(parse(json!({}), json!([])).is_err());
    assert!(parse(json!([]), json!(["add-schema"])).is_err());
}
