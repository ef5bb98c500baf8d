//! Results that come in any order, and are told in the order in which they were asked for.

use std::collections::BTreeMap;
use std::mem;

/// Holds each result until all before it are told. If the run is ended early, what it holds is told then: it was done.
pub(super) struct InOrder<T, F: FnMut(T)> {
    /// By their positions.
    held: BTreeMap<usize, T>,
    /// The position of the one that is told next.
    next: usize,
    tell: F,
}

impl<T, F: FnMut(T)> InOrder<T, F> {
    pub(super) fn new(tell: F) -> Self {
        Self {
            held: BTreeMap::new(),
            next: 0,
            tell,
        }
    }

    /// The result at this position has come. Positions begin at 0.
    pub(super) fn ended(&mut self, position: usize, result: T) {
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
