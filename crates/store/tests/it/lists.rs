//! Filters, order and pages.

use rat_store::{Only, Paging, PipelineFilter, RunFilter, RunRecord, Store};
use rat_types::{Layer, RunId, RunStatus};

use crate::support::{end, ident, namespace, new_run, pipeline, run, run_of_new, start};

fn paging(sort: &str) -> Paging {
    Paging {
        sort: Some(sort.to_owned()),
        ..Paging::default()
    }
}

async fn runs(store: &Store, filter: RunFilter) -> Vec<RunId> {
    let page = store.runs().list(&filter).await.unwrap();
    assert_eq!(usize::try_from(page.total).unwrap(), page.items.len());
    page.items.into_iter().map(|run| run.id).collect()
}

async fn pipelines(store: &Store, filter: PipelineFilter) -> Vec<String> {
    let page = store.pipelines().list(&filter).await.unwrap();
    assert_eq!(usize::try_from(page.total).unwrap(), page.items.len());
    page.items
        .into_iter()
        .map(|pipeline| pipeline.ident.to_string())
        .collect()
}

/// Two ended runs in different namespaces and layers, one that runs and one that waits.
async fn four_runs(store: &Store) -> [RunRecord; 4] {
    store
        .namespaces()
        .create(&namespace("shop"), "", "anna")
        .await
        .unwrap();
    let a = run_of_new(store, "default.bronze.a").await;
    let b = run_of_new(store, "shop.silver.b").await;
    let c = run_of_new(store, "shop.silver.c").await;
    let d = run_of_new(store, "shop.gold.a").await;
    for (run, token) in [(&a, "aa"), (&b, "bb"), (&c, "cc")] {
        assert!(
            store
                .runs()
                .mark_running(run.id, &start(token))
                .await
                .unwrap()
        );
    }
    for (run, status, seconds) in [(&a, RunStatus::Success, 9), (&b, RunStatus::Failed, 3)] {
        let started = store
            .runs()
            .get(run.id)
            .await
            .unwrap()
            .unwrap()
            .started_at
            .unwrap();
        let finished_at = started + chrono::Duration::seconds(seconds);
        let end = rat_store::RunEnd {
            finished_at,
            last_line: None,
            ..end(status)
        };
        assert!(store.runs().finish(run.id, &end).await.unwrap());
    }
    let get = async |run: &RunRecord| store.runs().get(run.id).await.unwrap().unwrap();
    [get(&a).await, get(&b).await, get(&c).await, get(&d).await]
}

pub(crate) async fn pages_cover_a_list_without_gap_or_overlap(store: Store) {
    pipeline(&store, "default.bronze.a").await;
    let mut missing = Vec::new();
    for _ in 0..7 {
        missing.insert(0, run(&store, "default.bronze.a").await.id);
    }
    assert_eq!(
        runs(&store, RunFilter::default()).await,
        missing,
        "newest first"
    );
    let mut pages = Vec::new();
    for offset in [0, 3, 6, 9] {
        // Every status is the same: without a tie-break the order would be left to chance.
        let paging = Paging {
            limit: Some(3),
            offset,
            sort: Some("status".to_owned()),
        };
        let filter = RunFilter {
            paging,
            ..RunFilter::default()
        };
        let page = store.runs().list(&filter).await.unwrap();
        assert_eq!(page.total, 7);
        pages.push(page.items.len());
        for run in page.items {
            assert!(missing.contains(&run.id));
            missing.retain(|id| *id != run.id);
        }
    }
    assert_eq!(
        (pages.as_slice(), missing.len()),
        ([3, 3, 1, 0].as_slice(), 0)
    );
}

pub(crate) async fn runs_are_filtered_by_every_field(store: Store) {
    let [a, b, c, d] = four_runs(&store).await;
    let filter = RunFilter::default;
    let shop = Some(namespace("shop"));
    assert_eq!(
        runs(
            &store,
            RunFilter {
                namespace: shop.clone(),
                ..filter()
            }
        )
        .await,
        [d.id, c.id, b.id]
    );
    let silver = RunFilter {
        layer: Some(Layer::Silver),
        ..filter()
    };
    assert_eq!(runs(&store, silver).await, [c.id, b.id]);
    let named = RunFilter {
        pipeline: Some("a".parse().unwrap()),
        ..filter()
    };
    assert_eq!(runs(&store, named.clone()).await, [d.id, a.id]);
    assert_eq!(
        runs(
            &store,
            RunFilter {
                namespace: shop,
                ..named
            }
        )
        .await,
        [d.id]
    );
    for (status, expected) in [
        (RunStatus::Pending, d.id),
        (RunStatus::Running, c.id),
        (RunStatus::Failed, b.id),
        (RunStatus::Success, a.id),
    ] {
        let filter = RunFilter {
            status: Some(status),
            ..filter()
        };
        assert_eq!(runs(&store, filter).await, [expected], "{status}");
    }
    let after = RunFilter {
        started_after: b.started_at,
        ..filter()
    };
    assert_eq!(runs(&store, after).await, [c.id, b.id]);
    let before = RunFilter {
        started_before: b.started_at,
        ..filter()
    };
    assert_eq!(runs(&store, before).await, [b.id, a.id]);
    let exactly = RunFilter {
        started_after: b.started_at,
        started_before: b.started_at,
        ..filter()
    };
    assert_eq!(runs(&store, exactly).await, [b.id]);
}

pub(crate) async fn runs_are_sorted_by_every_field(store: Store) {
    let [a, b, c, d] = four_runs(&store).await;
    let sorted = async |sort: &str| {
        runs(
            &store,
            RunFilter {
                paging: paging(sort),
                ..RunFilter::default()
            },
        )
        .await
    };
    assert_eq!(sorted("created_at").await, [a.id, b.id, c.id, d.id]);
    assert_eq!(sorted("-created_at").await, [d.id, c.id, b.id, a.id]);
    assert_eq!(sorted("status").await, [b.id, d.id, c.id, a.id]);
    assert_eq!(sorted("duration_ms").await[..2], [b.id, a.id]);
    assert_eq!(sorted("-duration_ms").await[..2], [a.id, b.id]);
    assert_eq!(sorted("finished_at").await[..2], [b.id, a.id]);
    let scheduled = rat_store::NewRun {
        trigger: "schedule:* * * * *".to_owned(),
        ..new_run("default.bronze.a")
    };
    store.runs().create(&scheduled).await.unwrap();
    assert_eq!(sorted("-trigger").await[0], scheduled.id);
}

pub(crate) async fn a_run_that_has_not_started_is_listed_last(store: Store) {
    let [a, b, c, d] = four_runs(&store).await;
    for (sort, expected) in [
        ("started_at", [a.id, b.id, c.id, d.id]),
        ("-started_at", [c.id, b.id, a.id, d.id]),
    ] {
        let filter = RunFilter {
            paging: paging(sort),
            ..RunFilter::default()
        };
        assert_eq!(runs(&store, filter).await, expected, "{sort}");
    }
}

pub(crate) async fn pipelines_are_filtered_and_searched(store: Store) {
    store
        .namespaces()
        .create(&namespace("shop"), "", "anna")
        .await
        .unwrap();
    for name in [
        "default.bronze.a_b",
        "default.silver.axb",
        "shop.bronze.orders",
        "shop.gold.z",
    ] {
        pipeline(&store, name).await;
    }
    let filter = PipelineFilter::default;
    let shop = PipelineFilter {
        namespace: Some(namespace("shop")),
        ..filter()
    };
    assert_eq!(
        pipelines(&store, shop).await,
        ["shop.bronze.orders", "shop.gold.z"]
    );
    let bronze = PipelineFilter {
        layer: Some(Layer::Bronze),
        ..filter()
    };
    assert_eq!(
        pipelines(&store, bronze).await,
        ["default.bronze.a_b", "shop.bronze.orders"]
    );
    let search = async |text: &str| {
        pipelines(
            &store,
            PipelineFilter {
                search: Some(text.to_owned()),
                ..filter()
            },
        )
        .await
    };
    assert_eq!(search("ORDER").await, ["shop.bronze.orders"]);
    assert_eq!(
        search("A_B").await,
        ["default.bronze.a_b"],
        "_ is no wildcard"
    );
    assert_eq!(search("%").await, Vec::<String>::new(), "% is no wildcard");
    assert_eq!(
        search("about shop.g").await,
        ["shop.gold.z"],
        "descriptions are searched"
    );
    assert_eq!(search("").await.len(), 4);
}

pub(crate) async fn pipelines_are_sorted_alike_in_both_databases(store: Store) {
    // A language's collation ignores the signs or sorts them elsewhere; bytes do not.
    for name in ["a_b", "a-b", "ab", "a", "a1", "a_"] {
        pipeline(&store, &format!("default.bronze.{name}")).await;
    }
    let names = async |sort: &str| -> Vec<String> {
        let filter = PipelineFilter {
            paging: paging(sort),
            ..PipelineFilter::default()
        };
        let page = store.pipelines().list(&filter).await.unwrap();
        page.items
            .into_iter()
            .map(|pipeline| pipeline.ident.name.to_string())
            .collect()
    };
    let by_name = ["a", "a-b", "a1", "a_", "a_b", "ab"];
    assert_eq!(names("name").await, by_name);
    assert_eq!(
        names("-name").await,
        by_name.iter().rev().copied().collect::<Vec<_>>()
    );
    let by_age = ["a_b", "a-b", "ab", "a", "a1", "a_"];
    assert_eq!(names("created_at").await, by_age);
    assert_eq!(names("updated_at").await, by_age);
    assert_eq!(names("type").await.len(), 6);
}

pub(crate) async fn an_unknown_field_is_ignored(store: Store) {
    for name in ["b", "a"] {
        pipeline(&store, &format!("default.bronze.{name}")).await;
    }
    for sort in ["owner", "-source_hash", "name; DROP TABLE runs", "", "-"] {
        let filter = PipelineFilter {
            paging: paging(sort),
            ..PipelineFilter::default()
        };
        assert_eq!(
            pipelines(&store, filter).await,
            ["default.bronze.a", "default.bronze.b"],
            "{sort}"
        );
        let filter = RunFilter {
            paging: paging(sort),
            ..RunFilter::default()
        };
        assert_eq!(runs(&store, filter).await, [], "{sort}");
    }
}

pub(crate) async fn a_selection_of_pipelines_limits_both_lists(store: Store) {
    let [a, b, c, d] = four_runs(&store).await;
    store.pipelines().delete(&b.pipeline).await.unwrap();
    // Of this one there is nothing left to list.
    pipeline(&store, "shop.gold.never_run").await;
    let never_run = ident("shop.gold.never_run");
    store.pipelines().delete(&never_run).await.unwrap();
    let late = store
        .files()
        .put("shop/pipelines/gold/never_run/pipeline.sql", b"", "anna")
        .await;
    assert_eq!(late.unwrap_err().kind(), rat_types::Kind::NotFound);
    let keys = store.pipelines().keys(None, None, None).await.unwrap();
    let ids: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
    let of = |run: &RunRecord| run.pipeline_id.clone();
    assert_eq!(
        ids,
        [&of(&a), &of(&d), &of(&b), &of(&c)],
        "by name, with the deleted one"
    );
    let shop = namespace("shop");
    let found = store
        .pipelines()
        .keys(Some(&shop), Some(Layer::Silver), Some(&c.pipeline.name))
        .await
        .unwrap();
    assert_eq!(found, [keys[3].clone()]);

    for (only, expected) in [
        (Only::These(vec![of(&b), of(&c)]), vec![c.id, b.id]),
        (Only::These(Vec::new()), vec![]),
        (Only::AllBut(vec![of(&b), of(&c)]), vec![d.id, a.id]),
        (Only::AllBut(Vec::new()), vec![d.id, c.id, b.id, a.id]),
    ] {
        let filter = RunFilter {
            only: Some(only.clone()),
            ..RunFilter::default()
        };
        assert_eq!(runs(&store, filter).await, expected, "{only:?}");
    }
    let filter = PipelineFilter {
        only: Some(Only::AllBut(vec![of(&a)])),
        ..PipelineFilter::default()
    };
    assert_eq!(
        pipelines(&store, filter).await,
        ["shop.gold.a", "shop.silver.c"]
    );
}
