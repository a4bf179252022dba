//! The string form of label selectors: `x in (a,b),!y,z=1`. Bounded by the text: each step takes a token.

use super::{Operator, Requirement, SelectorError};
use crate::{
    field::{Errors, Path},
    names,
};

/// Longest selector read, in bytes; a URL that long is refused before.
const TEXT_MAX: usize = 64 * 1024;

const OPERATORS: &str = "in, notin, =, ==, !=, gt, lt";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    End,
    /// `(`, `)`, `,`, `!`, `=`, `==`, `!=`, `<`, `>`.
    Symbol(&'a str),
    /// Anything else, `in` and `notin` included.
    Word(&'a str),
}

struct Parser<'a> {
    rest: &'a str,
}

/// Requirements in the order written.
pub(super) fn labels(text: &str) -> Result<Vec<Requirement>, SelectorError> {
    if text.len() > TEXT_MAX {
        return Err(SelectorError(format!("selector is longer than {TEXT_MAX} bytes")));
    }
    let mut parser = Parser { rest: text };
    let mut requirements = Vec::new();
    loop {
        match parser.peek() {
            Token::Word(_) | Token::Symbol("!") => {}
            Token::End => return Ok(requirements),
            Token::Symbol(found) => return expected(found, ", expected: !, identifier, or 'end of string'"),
        }
        let parsed = parser.requirement();
        requirements.push(parsed.map_err(|error| SelectorError(format!("unable to parse requirement: {error}")))?);
        match parser.next() {
            Token::End => return Ok(requirements),
            Token::Symbol(",") => match parser.peek() {
                Token::Word(_) | Token::Symbol("!") => {}
                other => return expected(other.text(), ", expected: identifier after ','"),
            },
            other => return expected(other.text(), ", expected: ',' or 'end of string'"),
        }
    }
}

fn expected<T>(found: &str, what: &str) -> Result<T, SelectorError> {
    Err(SelectorError(format!("found '{found}'{what}")))
}

impl<'a> Token<'a> {
    const fn text(self) -> &'a str {
        match self {
            Self::End => "",
            Self::Symbol(text) | Self::Word(text) => text,
        }
    }
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Token<'a> {
        Parser { rest: self.rest }.next()
    }

    fn next(&mut self) -> Token<'a> {
        let text = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let is_symbol = |c: char| "=!(),<>".contains(c);
        let length = match text.chars().next() {
            None => 0,
            Some(first) if is_symbol(first) => {
                if text.starts_with("==") || text.starts_with("!=") {
                    2
                } else {
                    1
                }
            }
            Some(_) => text.find(|c: char| is_symbol(c) || " \t\r\n".contains(c)).unwrap_or(text.len()),
        };
        let (token, rest) = text.split_at(length);
        self.rest = rest;
        match token.chars().next() {
            None => Token::End,
            Some(first) if is_symbol(first) => Token::Symbol(token),
            Some(_) => Token::Word(token),
        }
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        let mut token = self.next();
        let negated = token == Token::Symbol("!");
        if negated {
            token = self.next();
        }
        let Token::Word(key) = token else { return expected(token.text(), ", expected: identifier") };
        check_key(key)?;
        if matches!(self.peek(), Token::End | Token::Symbol(",")) {
            let operator = if negated { Operator::DoesNotExist } else { Operator::Exists };
            return Requirement::new(key, operator, Vec::new());
        }
        if negated {
            return Requirement::new(key, Operator::DoesNotExist, Vec::new());
        }
        let operator = self.operator()?;
        let mut values = match operator {
            Operator::In | Operator::NotIn => self.values()?,
            _ => vec![self.exact_value()?],
        };
        values.sort_unstable();
        values.dedup();
        Requirement::new(key, operator, values)
    }

    fn operator(&mut self) -> Result<Operator, SelectorError> {
        Ok(match self.next() {
            Token::Word("in") => Operator::In,
            Token::Word("notin") => Operator::NotIn,
            Token::Symbol("=") => Operator::Equals,
            Token::Symbol("==") => Operator::DoubleEquals,
            Token::Symbol("!=") => Operator::NotEquals,
            Token::Symbol(">") => Operator::GreaterThan,
            Token::Symbol("<") => Operator::LessThan,
            other => return expected(other.text(), &format!(", expected: {OPERATORS}")),
        })
    }

    fn exact_value(&mut self) -> Result<String, SelectorError> {
        match self.peek() {
            Token::End | Token::Symbol(",") => return Ok(String::new()),
            _ => {}
        }
        match self.next() {
            Token::Word(value) => Ok(value.to_owned()),
            other => expected(other.text(), ", expected: identifier"),
        }
    }

    /// `(a,b)`; an empty place between commas is the empty value.
    fn values(&mut self) -> Result<Vec<String>, SelectorError> {
        match self.next() {
            Token::Symbol("(") => {}
            other => return expected(other.text(), " expected: '('"),
        }
        match self.peek() {
            Token::Word(_) | Token::Symbol("," | ")") => {}
            other => return expected(other.text(), ", expected: ',', ')' or identifier"),
        }
        let mut values = Vec::new();
        loop {
            let value = match self.peek() {
                Token::Word(_) => self.next().text(),
                Token::Symbol("," | ")") => "",
                other => return expected(other.text(), ", expected: ',', or identifier"),
            };
            values.push(value.to_owned());
            match self.next() {
                Token::Symbol(",") => {}
                Token::Symbol(")") => return Ok(values),
                other => return expected(other.text(), ", expected: ',' or ')'"),
            }
        }
    }
}

fn check_key(key: &str) -> Result<(), SelectorError> {
    let messages = names::qualified_name(key);
    if messages.is_empty() {
        return Ok(());
    }
    // Upstream has no path here and prints it as Go prints nothing.
    let mut errors = Errors::new();
    errors.invalid(&Path::new("<nil>"), key, messages.join("; "));
    Err(SelectorError(errors.to_string()))
}
