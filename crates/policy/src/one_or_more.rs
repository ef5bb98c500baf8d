//! Lists that are never empty.

use std::iter::{Chain, Once, once};
use std::slice;

/// A list with at least one entry, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOrMore<T> {
    first: T,
    rest: Vec<T>,
}

impl<T> OneOrMore<T> {
    /// A list of `first` and `rest`.
    pub fn new(first: T, rest: Vec<T>) -> Self {
        Self { first, rest }
    }

    /// A list of one entry.
    pub fn one(only: T) -> Self {
        Self::new(only, Vec::new())
    }

    /// A list of these entries. `None` if there are none.
    pub fn of(entries: impl IntoIterator<Item = T>) -> Option<Self> {
        let mut entries = entries.into_iter();
        let first = entries.next()?;
        Some(Self::new(first, entries.collect()))
    }

    /// The first entry.
    pub fn first(&self) -> &T {
        &self.first
    }

    /// The entries behind the first.
    pub(crate) fn rest(&self) -> &[T] {
        &self.rest
    }

    /// The first entry, and the others.
    pub fn into_parts(self) -> (T, Vec<T>) {
        (self.first, self.rest)
    }

    /// The entry, if there is only one.
    pub fn only(&self) -> Option<&T> {
        self.rest.is_empty().then_some(&self.first)
    }

    /// How many entries there are: 1 or more.
    pub fn count(&self) -> usize {
        1 + self.rest.len()
    }

    /// The entries.
    pub fn iter(&self) -> Chain<Once<&T>, slice::Iter<'_, T>> {
        once(&self.first).chain(&self.rest)
    }

    /// The same list of other values.
    pub fn map<U>(&self, mut change: impl FnMut(&T) -> U) -> OneOrMore<U> {
        OneOrMore {
            first: change(&self.first),
            rest: self.rest.iter().map(change).collect(),
        }
    }

    /// The same list of other values, or the first error.
    ///
    /// # Errors
    /// The first of `change`.
    pub fn try_map<U, E>(
        &self,
        mut change: impl FnMut(&T) -> Result<U, E>,
    ) -> Result<OneOrMore<U>, E> {
        let first = change(&self.first)?;
        let rest = self.rest.iter().map(change).collect::<Result<_, E>>()?;
        Ok(OneOrMore { first, rest })
    }

    /// The first answer that is `Ok`; what stands behind it is not asked. If none is, all errors.
    ///
    /// # Errors
    /// One for each entry.
    pub fn first_ok<A, E>(
        &self,
        mut judge: impl FnMut(&T) -> Result<A, E>,
    ) -> Result<A, OneOrMore<E>> {
        let mut errors = match judge(&self.first) {
            Ok(answer) => return Ok(answer),
            Err(error) => OneOrMore::one(error),
        };
        for entry in &self.rest {
            match judge(entry) {
                Ok(answer) => return Ok(answer),
                Err(error) => errors.rest.push(error),
            }
        }
        Err(errors)
    }

    /// The greatest entry by `compare`, and its position from 0. Of several, the first.
    pub fn greatest(&self, compare: impl Fn(&T, &T) -> std::cmp::Ordering) -> (usize, &T) {
        let rest = self.rest.iter().enumerate();
        rest.fold((0, &self.first), |found, (position, entry)| {
            if compare(entry, found.1).is_gt() {
                (position + 1, entry)
            } else {
                found
            }
        })
    }
}

impl<'a, T> IntoIterator for &'a OneOrMore<T> {
    type Item = &'a T;
    type IntoIter = Chain<Once<&'a T>, slice::Iter<'a, T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T> IntoIterator for OneOrMore<T> {
    type Item = T;
    type IntoIter = Chain<Once<T>, std::vec::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        once(self.first).chain(self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_no_list() {
        assert_eq!(OneOrMore::<u8>::of([]), None);
        let one = OneOrMore::of([7]).unwrap();
        assert_eq!((one.only(), one.count()), (Some(&7), 1));
        let three = OneOrMore::of([1, 2, 3]).unwrap();
        assert_eq!((three.only(), three.first(), three.count()), (None, &1, 3));
        assert_eq!(three.iter().collect::<Vec<_>>(), [&1, &2, &3]);
        assert_eq!(three.map(|it| it * 2), OneOrMore::new(2, vec![4, 6]));
        assert_eq!(three.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn what_stands_behind_the_first_yes_is_not_asked() {
        let list = OneOrMore::new(1, vec![2, 3]);
        let mut asked = Vec::new();
        let found = list.first_ok(|it| {
            asked.push(*it);
            if *it == 2 { Ok("two") } else { Err(*it) }
        });
        assert_eq!((found, asked), (Ok("two"), vec![1, 2]));
        assert_eq!(list.first_ok(|it| Err::<(), _>(*it)), Err(list));
    }

    #[test]
    fn of_several_that_are_as_great_the_first_counts() {
        let list = OneOrMore::new((1, 'a'), vec![(2, 'b'), (2, 'c'), (0, 'd')]);
        let greatest = list.greatest(|one, other| one.0.cmp(&other.0));
        assert_eq!(greatest, (1, &(2, 'b')));
    }
}
