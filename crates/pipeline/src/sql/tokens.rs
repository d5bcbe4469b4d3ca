//! What makes a statement's tree deep, counted before there is a tree.

use sqlparser::dialect::GenericDialect;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, Tokenizer};

use super::limits::{Counted, TooComplex};

/// Refuses a text of which the parser would make too deep a tree. What is no text of SQL is left
/// to the parser, which says so better.
pub fn check_sql_text(sql: &str) -> Result<(), TooComplex> {
    match Tokenizer::new(&GenericDialect {}, sql).tokenize() {
        Ok(tokens) => Counted::Operators.check(operators(&tokens)),
        Err(_) => Ok(()),
    }
}

fn operators(tokens: &[Token]) -> u64 {
    let mut count = 0;
    let mut before = &Token::LParen;
    let mut tokens = tokens
        .iter()
        .filter(|token| !matches!(token, Token::Whitespace(_)))
        .peekable();
    while let Some(token) = tokens.next() {
        let sign = matches!(token, Token::Minus | Token::Plus)
            && matches!(before, Token::LParen | Token::Comma)
            && matches!(tokens.peek(), Some(Token::Number(..)));
        if chains(token) && !sign {
            count += 1;
        }
        before = token;
    }
    count
}

/// Whether a token joins what stands before it with what comes after it.
fn chains(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::AT
                | Keyword::BETWEEN
                | Keyword::COLLATE
                | Keyword::DIV
                | Keyword::EXCEPT
                | Keyword::ILIKE
                | Keyword::IN
                | Keyword::INTERSECT
                | Keyword::IS
                | Keyword::JOIN
                | Keyword::LIKE
                | Keyword::MEMBER
                | Keyword::MINUS
                | Keyword::NOT
                | Keyword::NOTNULL
                | Keyword::OPERATOR
                | Keyword::OR
                | Keyword::OVERLAPS
                | Keyword::REGEXP
                | Keyword::RLIKE
                | Keyword::SIMILAR
                | Keyword::UNION
                | Keyword::XOR
        ),
        Token::EOF
        | Token::Whitespace(_)
        | Token::Number(..)
        | Token::Char(_)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::EscapedStringLiteral(_)
        | Token::DollarQuotedString(_)
        | Token::NationalStringLiteral(_)
        | Token::HexStringLiteral(_)
        | Token::Comma
        | Token::Period
        | Token::LParen
        | Token::RParen
        | Token::SemiColon => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(sql: &str) -> u64 {
        operators(&Tokenizer::new(&GenericDialect {}, sql).tokenize().unwrap())
    }

    #[test]
    fn operators_of_symbols_and_of_words_are_counted() {
        for (sql, expected) in [
            ("a + b", 1),
            ("a - 1", 1),
            ("a LIKE b AND c IN (1, 2)", 3),
            ("a BETWEEN 1 AND 2", 2),
            ("a AT TIME ZONE 'UTC'", 1),
            ("a::INT::TEXT", 2),
            ("a[1][1]", 4),
            ("x JOIN y UNION z", 2),
            ("f(a, b.c), 'text', 1.5", 0),
        ] {
            assert_eq!(count(sql), expected, "{sql}");
        }
    }

    #[test]
    fn the_sign_of_a_number_in_a_list_is_no_operator() {
        assert_eq!(count("(-1, - 2, +3)"), 0);
        assert_eq!(count("- - 1"), 2);
        assert_eq!(count("(a, -b)"), 1);
        assert_eq!(count("1 -1"), 1);
    }
}
