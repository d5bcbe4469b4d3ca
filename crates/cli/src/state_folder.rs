//! Where programs of a user keep what outlives them, by the XDG base directory specification.

use std::path::PathBuf;

/// `$XDG_STATE_HOME`, else `~/.local/state`; `None` where the environment names neither.
pub(crate) fn find() -> Option<PathBuf> {
    choose(
        std::env::var_os("XDG_STATE_HOME").map(PathBuf::from),
        std::env::var_os("HOME").map(PathBuf::from),
    )
}

fn choose(state: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    // The specification says to ignore relative paths.
    let state = state.filter(|path| path.is_absolute());
    let home = home.filter(|path| path.is_absolute());
    state.or_else(|| home.map(|home| home.join(".local/state")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_folder_follows_the_base_directory_specification() {
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(choose(path("/s"), path("/h")), path("/s"));
        assert_eq!(
            choose(path("relative"), path("/h")),
            path("/h/.local/state")
        );
        assert_eq!(choose(None, path("/h")), path("/h/.local/state"));
        assert_eq!(choose(None, None), None);
    }
}
