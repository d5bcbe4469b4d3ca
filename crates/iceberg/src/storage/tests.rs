use super::*;

fn location(folder: &Path, name: &str) -> String {
    location_of(&folder.join(name))
}

#[tokio::test]
async fn what_was_written_is_read_back_whole_and_in_ranges() {
    let folder = tempfile::tempdir().unwrap();
    let io = file_io();
    let file = location(folder.path(), "metadata/a.avro");
    io.new_output(&file)
        .unwrap()
        .write(Bytes::from_static(b"0123456789"))
        .await
        .unwrap();

    let input = io.new_input(&file).unwrap();
    assert!(input.exists().await.unwrap());
    assert_eq!(input.metadata().await.unwrap().size, 10);
    assert_eq!(input.read().await.unwrap(), "0123456789");
    let reader = input.reader().await.unwrap();
    assert_eq!(reader.read(3..6).await.unwrap(), "345");
    assert_eq!(reader.read(0..0).await.unwrap(), "");
    for range in [8..11, 11..12, u64::MAX - 1..u64::MAX] {
        let error = reader.read(range.clone()).await.unwrap_err();
        assert!(
            matches!(cause(&error), Some(Error::OutOfRange { .. })),
            "{range:?}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_file_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let io = file_io();
    let file = location(folder.path(), "v1.metadata.json");
    let output = io.new_output(&file).unwrap();
    output.write(Bytes::from_static(b"first")).await.unwrap();
    let error = output
        .write(Bytes::from_static(b"second"))
        .await
        .unwrap_err();
    assert!(
        matches!(cause(&error), Some(Error::Exists { .. })),
        "{error:?}"
    );
    let mut writer = output.writer().await.unwrap();
    writer.write(Bytes::from_static(b"third")).await.unwrap();
    assert!(writer.close().await.is_err());
    assert_eq!(io.new_input(&file).unwrap().read().await.unwrap(), "first");
    assert_eq!(
        files_below(&location_of(folder.path())).await.unwrap(),
        [location(folder.path(), "v1.metadata.json")]
    );
}

#[tokio::test]
async fn a_writer_that_is_dropped_or_closed_twice_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let io = file_io();
    let output = io.new_output(location(folder.path(), "a.parquet")).unwrap();
    let mut writer = output.writer().await.unwrap();
    writer
        .write(Bytes::from(vec![1; 1024 * 1024]))
        .await
        .unwrap();
    drop(writer);
    assert!(
        files_below(&location_of(folder.path()))
            .await
            .unwrap()
            .is_empty()
    );

    let mut writer = output.writer().await.unwrap();
    writer.close().await.unwrap();
    assert!(writer.close().await.is_err());
    assert!(writer.write(Bytes::from_static(b"late")).await.is_err());
    assert_eq!(output.to_input_file().read().await.unwrap(), "");
}

#[tokio::test]
async fn a_missing_file_says_so() {
    let folder = tempfile::tempdir().unwrap();
    for io in [file_io(), file_io_within(folder.path())] {
        let input = io.new_input(location(folder.path(), "missing")).unwrap();
        assert!(!input.exists().await.unwrap());
        for error in [
            input.read().await.unwrap_err(),
            input.metadata().await.err().unwrap(),
            input.reader().await.err().unwrap(),
        ] {
            assert!(is_not_found(&error), "{error:?}");
        }
    }
}

#[tokio::test]
async fn deleting_is_idempotent_and_a_prefix_is_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let io = file_io_within(folder.path());
    for name in ["data/run-1/a", "data/run-1/deep/b", "data/run-12/c", "d"] {
        let output = io.new_output(location(folder.path(), name)).unwrap();
        output.write(Bytes::from_static(b"x")).await.unwrap();
    }
    for _ in 0..2 {
        io.delete_prefix(location(folder.path(), "data/run-1"))
            .await
            .unwrap();
        io.delete(location(folder.path(), "d")).await.unwrap();
    }
    assert!(!folder.path().join("data/run-1").exists());
    assert!(
        folder.path().join("data/run-12/c").exists(),
        "a sibling with the same beginning"
    );
    assert!(!folder.path().join("d").exists());
}

#[tokio::test]
async fn a_confined_storage_refuses_what_is_outside() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("lake");
    let other = folder.path().join("lake-other");
    fs::create_dir_all(&root).unwrap();
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("secret"), "x").unwrap();
    let io = file_io_within(&root);
    for path in ["lake-other/secret", "lake/../lake-other/secret"] {
        let place = format!("file://{}/{path}", folder.path().display());
        let input = io.new_input(&place).unwrap();
        let error = input.read().await.unwrap_err();
        assert!(
            matches!(cause(&error), Some(Error::Location(_))),
            "{path}: {error:?}"
        );
        assert!(io.delete(&place).await.is_err(), "{path}");
        assert!(io.delete_prefix(&place).await.is_err(), "{path}");
        assert!(
            io.new_output(&place)
                .unwrap()
                .write(Bytes::new())
                .await
                .is_err(),
            "{path}"
        );
    }
    assert_eq!(fs::read_to_string(other.join("secret")).unwrap(), "x");
}

#[tokio::test]
async fn a_link_does_not_lead_out_of_a_confined_storage() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("lake");
    let other = folder.path().join("other");
    fs::create_dir_all(&root).unwrap();
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("secret"), "x").unwrap();
    std::os::unix::fs::symlink(&other, root.join("link")).unwrap();
    let io = file_io_within(&root);
    let place = location(&root, "link/secret");
    assert!(io.new_input(&place).unwrap().read().await.is_err());
    assert!(io.new_input(&place).unwrap().reader().await.is_err());
    assert!(io.delete(&place).await.is_err());
    let output = io.new_output(location(&root, "link/new")).unwrap();
    assert!(output.write(Bytes::new()).await.is_err());
    io.delete_prefix(location(&root, "link")).await.unwrap();
    assert!(other.join("secret").exists());
    assert!(!other.join("new").exists());
}

#[tokio::test]
async fn many_ranges_can_be_read_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let io = file_io();
    let file = location(folder.path(), "a.parquet");
    let content: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    io.new_output(&file)
        .unwrap()
        .write(Bytes::from(content))
        .await
        .unwrap();
    let reader = io.new_input(&file).unwrap().reader().await.unwrap();
    let reads = (0..64_u32).map(|i| {
        let reader = &reader;
        async move {
            let start = u64::from(i) * 4000;
            let bytes = reader.read(start..start + 4).await.unwrap();
            assert_eq!(bytes, Bytes::copy_from_slice(&(i * 1000).to_le_bytes()));
        }
    });
    futures::future::join_all(reads).await;
}

/// A lake with a zone, a folder outside of it, and the path of a landing file.
fn lake() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (lake, outside) = (folder.path().join("lake"), folder.path().join("outside"));
    fs::create_dir_all(lake.join("shop/landing/raw")).unwrap();
    fs::create_dir(&outside).unwrap();
    (folder, lake, outside)
}

async fn put(root: &Path, relative: &str) -> Result<u64, Error> {
    let mut file = AtomicFile::within(root, relative)?;
    file.check().await?;
    file.write(Bytes::from_static(b"new")).await?;
    file.commit(Existing::Replace).await
}

fn obstacle(error: &Error) -> Option<Obstacle> {
    match error {
        Error::Obstructed { by, .. } => Some(*by),
        _ => None,
    }
}

#[tokio::test]
async fn a_confined_file_follows_no_link() {
    let (_folder, lake, outside) = lake();
    std::os::unix::fs::symlink(&outside, lake.join("shop/landing/raw/sub")).unwrap();
    let file = "shop/landing/raw/sub/a.csv";
    let error = put(&lake, file).await.unwrap_err();
    assert_eq!(obstacle(&error), Some(Obstacle::Link), "{error}");
    assert_eq!(error.kind(), rat_types::Kind::Conflict);
    fs::write(outside.join("a.csv"), "theirs").unwrap();
    let error = open_within(&lake, file).unwrap_err();
    assert_eq!(obstacle(&error), Some(Obstacle::Link), "{error}");
    let error = remove_within(&lake, file).await.unwrap_err();
    assert_eq!(obstacle(&error), Some(Obstacle::Link), "{error}");
    assert_eq!(fs::read(outside.join("a.csv")).unwrap(), b"theirs");

    // Also not one that was put there after the way was found to be free.
    let mut late = AtomicFile::within(&lake, "shop/landing/raw/late/a.csv").unwrap();
    late.check().await.unwrap();
    std::os::unix::fs::symlink(&outside, lake.join("shop/landing/raw/late")).unwrap();
    late.write(Bytes::from_static(b"new")).await.unwrap();
    let error = late.commit(Existing::Replace).await.unwrap_err();
    assert_eq!(obstacle(&error), Some(Obstacle::Link), "{error}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

#[tokio::test]
async fn a_confined_file_replaces_a_link_and_not_what_it_leads_to() {
    let (_folder, lake, outside) = lake();
    let (file, path) = (
        "shop/landing/raw/a.csv",
        lake.join("shop/landing/raw/a.csv"),
    );
    fs::write(outside.join("a.csv"), "theirs").unwrap();
    std::os::unix::fs::symlink(outside.join("a.csv"), &path).unwrap();
    let error = open_within(&lake, file).unwrap_err();
    assert_eq!(obstacle(&error), Some(Obstacle::Link), "{error}");
    put(&lake, file).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(fs::read(outside.join("a.csv")).unwrap(), b"theirs");
    io::read_to_string(open_within(&lake, file).unwrap()).unwrap();
    remove_within(&lake, file).await.unwrap();
    remove_within(&lake, file).await.unwrap();
    remove_within(&lake, "shop/landing/gone/a.csv")
        .await
        .unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn what_stands_in_the_way_is_told_and_left() {
    let (_folder, lake, _) = lake();
    put(&lake, "shop/landing/raw/a.csv").await.unwrap();
    put(&lake, "shop/landing/raw/b.csv/c.csv").await.unwrap();
    let under_file = put(&lake, "shop/landing/raw/a.csv/x.csv")
        .await
        .unwrap_err();
    assert_eq!(obstacle(&under_file), Some(Obstacle::File));
    let over_folder = put(&lake, "shop/landing/raw/b.csv").await.unwrap_err();
    assert_eq!(obstacle(&over_folder), Some(Obstacle::Folder));
    nix::unistd::mkfifo(
        &lake.join("shop/landing/raw/pipe"),
        nix::sys::stat::Mode::S_IRWXU,
    )
    .unwrap();
    let pipe = open_within(&lake, "shop/landing/raw/pipe").unwrap_err();
    assert_eq!(obstacle(&pipe), Some(Obstacle::Other));
    for odd in ["", "/etc/passwd", "../a", "a/../../b", "."] {
        assert!(AtomicFile::within(&lake, odd).is_err(), "{odd}");
    }
}
