//! Pages of lists.
//!
//! A token is the last entry of the page before, so that entries which come and go meanwhile
//! neither repeat nor hide others.

use serde::Deserialize;

/// Entries on a page, when the client asks for pages and not how long.
const DEFAULT_PAGE: usize = 1000;

/// Query parameters `pageToken` and `pageSize`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PageRequest {
    page_token: Option<String>,
    page_size: Option<usize>,
}

impl PageRequest {
    /// The page of `entries`, sorted by `key`, and the token of the next. Everything as it is if
    /// the client did not ask for pages.
    pub(crate) fn cut<T>(
        &self,
        mut entries: Vec<T>,
        key: impl Fn(&T) -> String,
    ) -> (Vec<T>, Option<String>) {
        if self.page_token.is_none() && self.page_size.is_none() {
            return (entries, None);
        }
        entries.sort_by_key(&key);
        let size = self
            .page_size
            .unwrap_or(DEFAULT_PAGE)
            .clamp(1, DEFAULT_PAGE);
        let after = self.page_token.as_deref().unwrap_or_default();
        let mut rest = entries
            .into_iter()
            .filter(|entry| key(entry).as_str() > after);
        let page: Vec<T> = rest.by_ref().take(size).collect();
        let token = rest.next().and_then(|_| page.last().map(key));
        (page, token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(token: Option<&str>, size: Option<usize>) -> (Vec<&'static str>, Option<String>) {
        let request = PageRequest {
            page_token: token.map(str::to_owned),
            page_size: size,
        };
        request.cut(vec!["a", "b", "c", "d"], |entry| (*entry).to_owned())
    }

    #[test]
    fn pages_follow_each_other() {
        assert_eq!(cut(None, None), (vec!["a", "b", "c", "d"], None));
        assert_eq!(cut(Some(""), None), (vec!["a", "b", "c", "d"], None));
        assert_eq!(cut(None, Some(2)), (vec!["a", "b"], Some("b".to_owned())));
        assert_eq!(cut(Some("b"), Some(2)), (vec!["c", "d"], None));
        assert_eq!(cut(Some("bb"), Some(1)), (vec!["c"], Some("c".to_owned())));
        assert_eq!(cut(Some("z"), Some(2)), (vec![], None));
        assert_eq!(cut(None, Some(0)), (vec!["a"], Some("a".to_owned())));
    }
}
