//! Results that come in any order, and are told in the order in which they were asked for.

use std::collections::BTreeMap;
use std::mem;
use std::pin::pin;

use futures_util::{StreamExt as _, stream};

/// Does all of `works`, at most `at_once` of them at the same time: one that has ended makes room for the next, whichever
/// still runs. `tell` gets the results in the order of `works`. If the run is ended early, all work is dropped first, and
/// then what waited for its turn is told: it was done.
pub(super) async fn told_in_order<Work: Future>(
    works: impl IntoIterator<Item = Work>,
    at_once: usize,
    tell: impl FnMut(Work::Output),
) {
    let works = works.into_iter().enumerate();
    let works = works.map(async |(position, work)| (position, work.await));
    let mut told = InOrder::new(tell);
    let mut works = pin!(stream::iter(works).buffer_unordered(at_once));
    while let Some((position, result)) = works.next().await {
        told.ended(position, result);
    }
}

/// Holds each result until all before it are told. If the run is ended early, what it holds is told then: it was done.
struct InOrder<T, F: FnMut(T)> {
    /// By their positions.
    held: BTreeMap<usize, T>,
    /// The position of the one that is told next.
    next: usize,
    tell: F,
}

impl<T, F: FnMut(T)> InOrder<T, F> {
    fn new(tell: F) -> Self {
        Self {
            held: BTreeMap::new(),
            next: 0,
            tell,
        }
    }

    /// The result at this position has come. Positions begin at 0.
    fn ended(&mut self, position: usize, result: T) {
        self.held.insert(position, result);
        while let Some(result) = self.held.remove(&self.next) {
            self.next += 1;
            (self.tell)(result);
        }
    }
}

impl<T, F: FnMut(T)> Drop for InOrder<T, F> {
    fn drop(&mut self) {
        for result in mem::take(&mut self.held).into_values() {
            (self.tell)(result);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_once_in_its_order_and_what_is_held_is_told_at_the_end() {
        let mut told = Vec::new();
        let mut results = InOrder::new(|result: &str| told.push(result.to_owned()));
        results.ended(1, "second");
        results.ended(0, "first");
        results.ended(4, "fifth");
        results.ended(3, "fourth");
        drop(results);
        assert_eq!(told, ["first", "second", "fourth", "fifth"]);
    }

    #[test]
    fn none_waits_for_what_comes_behind_it() {
        let told = std::cell::RefCell::new(Vec::new());
        let mut results = InOrder::new(|result: u8| told.borrow_mut().push(result));
        results.ended(0, 0);
        assert_eq!(*told.borrow(), [0]);
        results.ended(2, 2);
        assert_eq!(*told.borrow(), [0]);
        results.ended(1, 1);
        assert_eq!(*told.borrow(), [0, 1, 2]);
    }
}
