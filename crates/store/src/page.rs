//! Pages of long lists: limit, offset and a sort order that never fails.

/// How many items a page has when nothing is said.
pub const DEFAULT_LIMIT: u32 = 50;
/// How many items a page has at most.
pub const MAX_LIMIT: u32 = 200;

/// Which part of a list, in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paging {
    /// Number of items; 0 and `None` mean [`DEFAULT_LIMIT`], more than [`MAX_LIMIT`] means that.
    pub limit: Option<u32>,
    /// Items to leave out at the beginning.
    pub offset: u64,
    /// `field` or `-field` (descending); an unknown field is ignored.
    pub sort: Option<String>,
}

/// Part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// Number of items on all pages.
    pub total: u64,
}

impl Paging {
    pub(crate) fn limit(&self) -> u32 {
        match self.limit {
            None | Some(0) => DEFAULT_LIMIT,
            Some(limit) => limit.min(MAX_LIMIT),
        }
    }

    /// The ORDER BY clause for the requested field if it is one of `fields`, else `default`.
    ///
    /// Missing values come last in both databases, and `tie_break` makes the order total: without
    /// it two pages could show the same row.
    pub(crate) fn order_by(
        &self,
        fields: &[&'static str],
        default: &str,
        tie_break: &str,
    ) -> String {
        let order = self.requested(fields).unwrap_or_else(|| default.to_owned());
        format!(" ORDER BY {order}, {tie_break}")
    }

    fn requested(&self, fields: &[&'static str]) -> Option<String> {
        let sort = self.sort.as_deref()?;
        let (name, direction) = match sort.strip_prefix('-') {
            Some(name) => (name, "DESC"),
            None => (sort, "ASC"),
        };
        let field = fields.iter().find(|field| **field == name)?;
        Some(format!("{field} {direction} NULLS LAST"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted_by(sort: &str) -> String {
        let paging = Paging {
            sort: Some(sort.to_owned()),
            ..Paging::default()
        };
        paging.order_by(&["name", "created_at"], "created_at DESC", "id")
    }

    #[test]
    fn a_known_field_is_used_and_an_unknown_one_is_ignored() {
        assert_eq!(sorted_by("name"), " ORDER BY name ASC NULLS LAST, id");
        assert_eq!(sorted_by("-name"), " ORDER BY name DESC NULLS LAST, id");
        for odd in ["", "-", "--name", "owner", "name; DROP TABLE runs", "NAME"] {
            assert_eq!(sorted_by(odd), " ORDER BY created_at DESC, id", "{odd}");
        }
    }

    #[test]
    fn limits_are_kept_between_one_and_the_maximum() {
        let limit = |limit| {
            Paging {
                limit,
                ..Paging::default()
            }
            .limit()
        };
        assert_eq!(
            [
                limit(None),
                limit(Some(0)),
                limit(Some(1)),
                limit(Some(u32::MAX))
            ],
            [DEFAULT_LIMIT, DEFAULT_LIMIT, 1, MAX_LIMIT]
        );
    }
}
