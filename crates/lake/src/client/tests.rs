use super::*;

#[test]
fn addresses_of_a_control_plane_are_a_socket_or_an_url() {
    let token = || Secret::new("t");
    let client = CatalogClient::connect("unix:/run/rat/ratd.sock", token()).unwrap();
    assert_eq!(client.base, "http://ratd/iceberg");
    let client = CatalogClient::connect("http://127.0.0.1:80/", token()).unwrap();
    assert_eq!(client.base, "http://127.0.0.1:80/iceberg");
    for address in [
        "",
        "unix:",
        "unix:relative",
        "127.0.0.1:80",
        "http://",
        "ftp://x",
        "/run/x",
    ] {
        let error = CatalogClient::connect(address, token()).unwrap_err();
        assert_eq!(error.reason(), "CONTROL_PLANE_ADDRESS", "{address}");
    }
}

#[test]
fn a_debug_print_shows_no_token() {
    let client = CatalogClient::connect("unix:/x", Secret::new("rat_run_abc")).unwrap();
    assert!(!format!("{client:?}").contains("abc"));
}

#[test]
fn names_become_paths_of_the_protocol() {
    let ident = "shop.gold.daily".parse().unwrap();
    assert_eq!(table_path(&ident), "namespaces/shop%1Fgold/tables/daily");
    assert_eq!(
        iceberg_ident(&ident).namespace().as_ref(),
        &vec!["shop", "gold"]
    );
    assert_eq!(percent_encoded("a b/ü&="), "a%20b%2F%C3%BC%26%3D");
}

#[tokio::test]
async fn a_control_plane_that_is_not_there_is_unavailable_and_nothing_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let socket = format!("unix:{}/none.sock", folder.path().display());
    let client = CatalogClient::connect(&socket, Secret::new("t")).unwrap();
    let ident = "shop.gold.daily".parse().unwrap();
    let error = client
        .commit(&ident, Vec::new(), Vec::new())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), rat_types::Kind::Unavailable);
    assert_eq!(
        error.reason(),
        "CATALOG_UNAVAILABLE",
        "a commit that was never sent is not unknown"
    );
}
