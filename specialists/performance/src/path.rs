//! A request path with ranges: `/checkout/{1..5000}`.

use fastrand::Rng;
use hyper::http::uri::PathAndQuery;

/// Why a path cannot be requested.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It could name another host, or nothing at all.
    #[error("path {0:?} does not start with exactly one /")]
    Start(String),
    /// Braces hold a range of numbers, and nothing else.
    #[error("path {0:?}: braces hold a range such as {{1..5000}}, first not above last")]
    Range(String),
    /// Characters that no URL has.
    #[error("path {0:?} is not a path of a URL")]
    Characters(String),
}

/// Parsed once; filled anew for each request.
#[derive(Debug, Clone)]
pub(crate) struct PathTemplate(Vec<Part>);

#[derive(Debug, Clone)]
enum Part {
    Text(String),
    /// Both ends included.
    Range(u64, u64),
}

impl PathTemplate {
    /// `prefix` stands before `path` and is the base URL's own.
    pub(crate) fn parse(prefix: &str, path: &str) -> Result<Self, PathError> {
        if !path.starts_with('/') || path.starts_with("//") {
            return Err(PathError::Start(path.to_owned()));
        }
        let mut parts = vec![Part::Text(prefix.to_owned())];
        let mut rest = path;
        while let Some((text, behind)) = rest.split_once('{') {
            let (range, behind) =
                behind.split_once('}').ok_or_else(|| PathError::Range(path.to_owned()))?;
            parts.push(Part::Text(text.to_owned()));
            parts.push(parse_range(range).ok_or_else(|| PathError::Range(path.to_owned()))?);
            rest = behind;
        }
        if rest.contains('}') {
            return Err(PathError::Range(path.to_owned()));
        }
        parts.push(Part::Text(rest.to_owned()));
        let template = Self(parts);
        let first: Result<PathAndQuery, _> = template.fill_with(|low, _| low).parse();
        first.map_err(|_| PathError::Characters(path.to_owned()))?;
        Ok(template)
    }

    /// One path. Digits never make a good path a bad one, so this cannot fail after `parse`.
    pub(crate) fn fill(&self, rng: &mut Rng) -> PathAndQuery {
        let path = self.fill_with(|low, high| rng.u64(low..=high));
        path.parse().unwrap_or_else(|_| PathAndQuery::from_static("/"))
    }

    fn fill_with(&self, mut pick: impl FnMut(u64, u64) -> u64) -> String {
        self.0.iter().fold(String::new(), |mut path, part| {
            match part {
                Part::Text(text) => path.push_str(text),
                Part::Range(low, high) => path.push_str(&pick(*low, *high).to_string()),
            }
            path
        })
    }
}

fn parse_range(range: &str) -> Option<Part> {
    let (low, high) = range.split_once("..")?;
    let (low, high) = (low.parse().ok()?, high.parse().ok()?);
    (low <= high).then_some(Part::Range(low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_filled_within_their_ends_and_the_same_for_the_same_seed() {
        let template =
            PathTemplate::parse("/api", "/checkout/{10..12}/lines/{7..7}?page=1").unwrap();
        let fill = |seed| {
            let mut rng = Rng::with_seed(seed);
            (0..50).map(|_| template.fill(&mut rng).to_string()).collect::<Vec<_>>()
        };
        assert_eq!(fill(1), fill(1));
        for path in fill(2) {
            let known = (10..=12).map(|n| format!("/api/checkout/{n}/lines/7?page=1"));
            assert!(known.into_iter().any(|known| known == path), "{path}");
        }
    }

    #[test]
    fn what_is_no_path_of_this_host_is_refused() {
        for path in ["checkout", "//evil.example/x", "http://evil.example/", "@evil"] {
            assert!(matches!(PathTemplate::parse("", path), Err(PathError::Start(_))), "{path}");
        }
        for path in ["/{}", "/{1}", "/{5..1}", "/{a..b}", "/{1..2", "/1..2}", "/{-1..2}"] {
            assert!(matches!(PathTemplate::parse("", path), Err(PathError::Range(_))), "{path}");
        }
        assert!(matches!(PathTemplate::parse("", "/a b"), Err(PathError::Characters(_))));
    }
}
