//! Small landing files that decompress to far more than there is memory.

use bytes::Bytes;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;
use futures::{StreamExt, TryStreamExt};

use crate::support::{Lake, Source};

/// Bytes by which the process may grow, all tests of it together.
const ALLOWED: u64 = 600 << 20;

fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// `count` times the same text, compressed.
async fn compressed(
    compression: FileCompressionType,
    start: &str,
    text: &str,
    count: usize,
) -> Vec<u8> {
    let start = Bytes::copy_from_slice(start.as_bytes());
    let text = Bytes::copy_from_slice(text.as_bytes());
    let texts = std::iter::once(start).chain(std::iter::repeat_n(text, count));
    let stream = futures::stream::iter(texts.map(Ok)).boxed();
    let stream = compression.convert_to_compress_stream(stream).unwrap();
    let parts: Vec<Bytes> = stream.try_collect().await.unwrap();
    parts.concat()
}

async fn failure(
    lake: &Lake,
    name: &str,
    bytes: &[u8],
    function: &str,
) -> Option<(String, String)> {
    let files = [lake.land(name, bytes)];
    let sql = format!(
        "SELECT count(*) AS n FROM {function}('{{{{ landing_zone('raw') }}}}') WHERE a <> 'b'"
    );
    let source = Source {
        ident: "shop.bronze.x",
        sql: &sql,
        files: &[],
    };
    let failure = lake.run(&source, &files).await.failure?;
    Some((failure.code, failure.message))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_compressed_file_fills_the_memory() {
    let lake = Lake::start().await;
    let before = peak();
    let kinds = [
        ("gz", FileCompressionType::GZIP),
        ("bz2", FileCompressionType::BZIP2),
        ("xz", FileCompressionType::XZ),
        ("zst", FileCompressionType::ZSTD),
    ];
    let line = "x".repeat(1 << 20);
    for (ending, kind) in kinds {
        // A thousand records of a mebibyte each, which used to be one batch.
        let count = if ending == "zst" { 1_000 } else { 150 };
        let csv = compressed(kind, "a,n\n", &format!("{line},1\n"), count).await;
        assert!(csv.len() < 200 << 10, "{ending}: {}", csv.len());
        let name = format!("a.csv.{ending}");
        assert_eq!(
            failure(&lake, &name, &csv, "read_csv").await,
            None,
            "{name}"
        );
        let json = format!("{{\"a\": \"{line}\"}}\n");
        let json = compressed(kind, "", &json, count).await;
        let name = format!("a.json.{ending}");
        assert_eq!(
            failure(&lake, &name, &json, "read_json").await,
            None,
            "{name}"
        );
        // One record without end.
        let endless = compressed(kind, "a,n\n", &line, 150).await;
        let (code, message) = failure(&lake, &format!("b.csv.{ending}"), &endless, "read_csv")
            .await
            .unwrap();
        assert_eq!(code, "LANDING_FILE_INVALID");
        assert!(
            message.contains("a record is longer than 64 MiB"),
            "{message}"
        );
    }
    if let (Some(before), Some(after)) = (before, peak()) {
        eprintln!("{} MiB became {} MiB", before >> 20, after >> 20);
        assert!(after - before < ALLOWED, "{before} bytes became {after}");
    }
}

/// The checksum of an XZ file's headers.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    };
    !bytes.iter().fold(!0, step)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_asks_for_gigabytes_to_be_decompressed_is_refused() {
    let lake = Lake::start().await;
    let mut xz = compressed(FileCompressionType::XZ, "a\n1\n", "2\n", 3).await;
    // The block's header stands after the stream's: its size, flags, the filter and its one
    // property, the size of the dictionary, of which 40 is the largest.
    let end = 12 + (usize::from(xz[12]) + 1) * 4;
    assert_eq!(xz[14..16], [0x21, 0x01], "{xz:?}");
    xz[16] = 40;
    let checksum = crc32(&xz[12..end - 4]).to_le_bytes();
    xz[end - 4..end].copy_from_slice(&checksum);
    let (code, message) = failure(&lake, "a.csv.xz", &xz, "read_csv").await.unwrap();
    assert_eq!(code, "LANDING_FILE_INVALID");
    let expected = "shop.raw/a.csv.xz: decompressing the file takes more than 128 MiB";
    assert!(message.starts_with(expected), "{message}");

    // A frame with a window of 2 GiB, and one block that repeats a byte.
    let zstd = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x53, 0x00, 0x00, b'1'];
    let (code, message) = failure(&lake, "a.csv.zst", &zstd, "read_csv")
        .await
        .unwrap();
    assert_eq!(code, "LANDING_FILE_INVALID", "{message}");
    assert!(message.starts_with("shop.raw/a.csv.zst: "), "{message}");
}
