//! Cutting files into evenly sized partitions.

use iceberg::scan::FileScanTask;

/// A partition with less to read than either of these costs more than it gains.
const MIN_PARTITION_BYTES: u64 = 1024 * 1024;
const MIN_PARTITION_ROWS: u64 = 64 * 1024;

/// Distributes `files` over at most `target` partitions of about the same number of bytes, and at
/// least one. Large files are cut: a row group belongs to the piece that its middle lies in, so
/// any cut is right, and a piece without a row group just finds nothing to do.
pub(super) fn split(files: Vec<FileScanTask>, target: usize) -> Vec<Vec<FileScanTask>> {
    let total: u64 = files.iter().map(|file| file.length).sum();
    let rows: u64 = files.iter().map(rows_in).sum();
    let worthwhile = (total / MIN_PARTITION_BYTES).max(rows / MIN_PARTITION_ROWS);
    let count = usize::try_from(worthwhile)
        .unwrap_or(usize::MAX)
        .clamp(1, target.max(1));
    let share = total.div_ceil(u64::try_from(count).unwrap_or(1)).max(1);
    // Every piece of a file reads the footer again, so slivers are not cut off.
    let sliver = share / 4;

    let mut partitions = vec![Vec::new()];
    let mut room = share;
    for mut file in files {
        while partitions.len() < count && file.length > room {
            if room > sliver {
                if file.length - room <= sliver {
                    break;
                }
                let (head, tail) = cut(file, room);
                last(&mut partitions).push(head);
                file = tail;
            }
            partitions.push(Vec::new());
            room = share;
        }
        room = room.saturating_sub(file.length);
        last(&mut partitions).push(file);
    }
    partitions.retain(|partition| !partition.is_empty());
    if partitions.is_empty() {
        partitions.push(Vec::new());
    }
    partitions
}

/// Estimated rows of a file or a piece of one.
pub(super) fn rows_in(file: &FileScanTask) -> u64 {
    file.record_count.unwrap_or_default()
}

fn last(partitions: &mut [Vec<FileScanTask>]) -> &mut Vec<FileScanTask> {
    partitions
        .last_mut()
        .expect("there is at least one partition")
}

/// Cuts the first `length` bytes off.
fn cut(file: FileScanTask, length: u64) -> (FileScanTask, FileScanTask) {
    let rows = |part: u64| {
        let share =
            |rows: u64| u128::from(rows) * u128::from(part) / u128::from(file.length.max(1));
        file.record_count
            .map(|rows| u64::try_from(share(rows)).unwrap_or(u64::MAX))
    };
    let (first, second) = (rows(length), rows(file.length - length));
    let mut head = file.clone();
    head.length = length;
    head.record_count = first;
    let mut tail = file;
    tail.start += length;
    tail.length -= length;
    tail.record_count = second;
    (head, tail)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use iceberg::spec::{DataFileFormat, Schema};

    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn file(length: u64) -> FileScanTask {
        FileScanTask::builder()
            .with_file_size_in_bytes(length)
            .with_start(0)
            .with_length(length)
            .with_record_count(Some(length / 100))
            .with_data_file_path(format!("f{length}"))
            .with_data_file_format(DataFileFormat::Parquet)
            .with_schema(Arc::new(Schema::builder().build().unwrap()))
            .with_project_field_ids(vec![])
            .with_case_sensitive(true)
            .build()
    }

    fn sizes(lengths: &[u64], target: usize) -> Vec<u64> {
        let partitions = split(lengths.iter().map(|length| file(*length)).collect(), target);
        let size = |partition: &Vec<FileScanTask>| partition.iter().map(|file| file.length).sum();
        partitions.iter().map(size).collect()
    }

    #[test]
    fn one_large_file_keeps_all_cores_busy() {
        assert_eq!(sizes(&[80 * MIB], 8), vec![10 * MIB; 8]);
        let partitions = split(vec![file(80 * MIB)], 8);
        let starts: Vec<_> = partitions
            .iter()
            .map(|files| files[0].start / MIB)
            .collect();
        assert_eq!(starts, [0, 10, 20, 30, 40, 50, 60, 70]);
    }

    #[test]
    fn a_small_table_is_read_by_few() {
        assert_eq!(sizes(&[1000], 8), [1000]);
        assert_eq!(sizes(&[1000, 1000], 8), [2000]);
        assert_eq!(sizes(&[3 * MIB + 1], 8).len(), 3);
        let mut rows = file(1000);
        rows.record_count = Some(4 * MIN_PARTITION_ROWS);
        assert_eq!(split(vec![rows], 8).len(), 4, "few bytes can be many rows");
        assert_eq!(sizes(&[], 8), [0]);
        assert_eq!(sizes(&[5 * MIB], 0).len(), 1);
    }

    #[test]
    fn many_files_are_distributed_evenly_and_cut_only_where_it_pays() {
        let even = sizes(&[MIB; 16], 4);
        assert_eq!(even, [4 * MIB; 4]);
        for size in sizes(&[7 * MIB, 11 * MIB, 3 * MIB, MIB / 8, 9 * MIB], 4) {
            assert!((6 * MIB..=9 * MIB).contains(&size), "{size}");
        }
    }

    #[test]
    fn every_byte_is_read_exactly_once() {
        for target in 1..9 {
            let lengths = [7 * MIB + 3, 11 * MIB, 1, 40 * MIB, 3 * MIB, 5000];
            let partitions = split(lengths.iter().map(|length| file(*length)).collect(), target);
            assert!(partitions.len() <= target);
            let mut pieces: Vec<_> = partitions.into_iter().flatten().collect();
            pieces.sort_by_key(|piece| (piece.file_size_in_bytes, piece.start));
            let mut read = 0;
            for piece in &pieces {
                let expected = if piece.start == 0 { 0 } else { read };
                assert_eq!(piece.start, expected);
                read = piece.start + piece.length;
                assert!(read <= piece.file_size_in_bytes);
            }
            let total: u64 = pieces.iter().map(|piece| piece.length).sum();
            assert_eq!(total, lengths.iter().sum::<u64>());
        }
    }
}
