//! Settings.

use rat_store::Store;
use serde_json::json;

pub(crate) async fn a_setting_is_replaced(store: Store) {
    assert_eq!(store.settings().get("retention").await.unwrap(), None);
    for value in [
        json!({"days": 3, "text": "a\u{0}b"}),
        json!(null),
        json!([1.5, "x"]),
    ] {
        store.settings().put("retention", &value).await.unwrap();
        assert_eq!(
            store.settings().get("retention").await.unwrap(),
            Some(value)
        );
    }
    assert_eq!(store.settings().get("other").await.unwrap(), None);
}
