//! Lengths that inputs may have, and the page that a list shows.

use rat_store::{MAX_LIMIT, Paging};
use rat_types::is_direction_mark;

use crate::fault::Fault;
use crate::parameter::Count;

/// Characters of a description.
const DESCRIPTION: usize = 5_000;
/// Characters of a user id.
const OWNER: usize = 256;
/// Characters of a search.
const SEARCH: usize = 256;
/// Rows that may be skipped: paging deeper than this is a scan of the whole table.
const OFFSET: u64 = 10_000_000;
/// Items of a list that nobody asked to be cut.
const LONGEST_LIST: usize = 10_000;

/// Refuses text of more than `longest` characters, or with control characters but whitespace.
pub(crate) fn text(field: &str, value: &str, longest: usize) -> Result<(), Fault> {
    let length = value.chars().count();
    if length > longest {
        let message = format!("{field}: has {length} characters, at most {longest} are allowed");
        return Err(Fault::invalid(message).because("TEXT_TOO_LONG"));
    }
    if value.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        return Err(Fault::invalid(format!(
            "{field}: must not contain control characters"
        )));
    }
    Ok(())
}

/// Refuses a description that is too long.
pub(crate) fn description(value: &str) -> Result<(), Fault> {
    text("description", value, DESCRIPTION)
}

/// Refuses an owner that is no user id.
pub(crate) fn owner(value: &str) -> Result<(), Fault> {
    user("owner", value)
}

/// Refuses what is no user id, nor the name of a role.
pub(crate) fn user(field: &str, value: &str) -> Result<(), Fault> {
    if value.trim().is_empty() {
        return Err(Fault::invalid(format!("{field}: must not be empty")));
    }
    if value
        .chars()
        .any(|c| c.is_control() || is_direction_mark(c))
    {
        return Err(Fault::invalid(format!(
            "{field}: must be one line without control characters"
        )));
    }
    text(field, value, OWNER)
}

/// Refuses a search that is too long.
pub(crate) fn search(value: Option<&str>) -> Result<(), Fault> {
    value.map_or(Ok(()), |value| text("search", value, SEARCH))
}

/// The page that a query string asks for: a limit above the maximum means the maximum, a field
/// that cannot be sorted by is ignored.
pub(crate) fn page(
    limit: Option<Count>,
    offset: Option<Count>,
    sort: Option<String>,
) -> Result<Paging, Fault> {
    let offset = offset.map_or(0, |offset| offset.0);
    if offset > OFFSET {
        return Err(Fault::invalid(format!("offset: must be at most {OFFSET}")));
    }
    if limit == Some(Count(0)) {
        return Err(Fault::invalid("limit: must be at least 1"));
    }
    let limit = limit.map(|Count(limit)| u32::try_from(limit).unwrap_or(u32::MAX).min(MAX_LIMIT));
    Ok(Paging {
        limit,
        offset,
        sort,
    })
}

/// The part of a list that is in memory as a whole: all of it, up to a bound, where nothing was
/// asked for.
pub(crate) fn slice<T>(
    items: Vec<T>,
    limit: Option<Count>,
    offset: Option<Count>,
) -> Result<Vec<T>, Fault> {
    let paging = page(limit, offset, None)?;
    let most = paging.limit.map_or(LONGEST_LIST, |limit| limit as usize);
    let skipped = usize::try_from(paging.offset).unwrap_or(usize::MAX);
    Ok(items.into_iter().skip(skipped).take(most).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_within_bounds() {
        let paging = page(Some(Count(1_000_000)), Some(Count(7)), None).unwrap();
        assert_eq!((paging.limit, paging.offset), (Some(MAX_LIMIT), 7));
        assert_eq!(page(None, None, None).unwrap(), Paging::default());
        assert!(page(Some(Count(0)), None, None).is_err());
        assert!(page(None, Some(Count(u64::MAX)), None).is_err());
    }

    #[test]
    fn a_list_in_memory_is_cut_like_one_in_the_database() {
        let list = vec![1, 2, 3, 4];
        assert_eq!(slice(list.clone(), None, None).unwrap(), [1, 2, 3, 4]);
        assert_eq!(
            slice(list.clone(), Some(Count(2)), Some(Count(1))).unwrap(),
            [2, 3]
        );
        assert_eq!(
            slice(list, Some(Count(200)), Some(Count(9))).unwrap(),
            [0; 0]
        );
    }

    #[test]
    fn text_is_bounded_and_printable() {
        assert!(text("f", "line\n\ttab", 10).is_ok());
        assert!(text("f", "üüü", 3).is_ok());
        assert!(text("f", "üüüü", 3).is_err());
        assert!(text("f", "nul\0", 10).is_err());
    }
}
