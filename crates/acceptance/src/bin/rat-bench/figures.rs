//! What many measurements come to.

pub(crate) fn percentile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() * percent / 100).min(values.len() - 1)]
}

pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// How the programs were compiled: figures of a debug build are not worth keeping.
pub(crate) fn build() -> &'static str {
    match cfg!(debug_assertions) {
        true => "debug build",
        false => "release build",
    }
}
