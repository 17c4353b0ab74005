//! Numbers that come and go in the order of their numbering, and the greatest among any of them.

/// A segment tree over a ring: values at consecutive numbers, the maximum of any range.
///
/// Every operation is O(log n) in the numbers that are kept.
#[derive(Debug)]
pub(super) struct MaxRing {
    /// The tree: leaves from `capacity` on, node n above 2n and 2n + 1.
    nodes: Vec<u64>,
    first: u64,
    next: u64,
}

impl MaxRing {
    pub(super) fn new() -> MaxRing {
        MaxRing { nodes: vec![0; 4], first: 0, next: 0 }
    }

    fn capacity(&self) -> u64 {
        self.nodes.len() as u64 / 2
    }

    fn leaf(&self, number: u64) -> usize {
        // The capacity is a power of two.
        (self.capacity() + (number & (self.capacity() - 1))) as usize
    }

    /// Adds a value, at the next number.
    pub(super) fn push(&mut self, value: u64) -> u64 {
        if self.next - self.first == self.capacity() {
            self.grow();
        }
        let number = self.next;
        self.next += 1;
        self.set(number, value);
        number
    }

    /// Takes the value of the lowest number away.
    pub(super) fn pop(&mut self) {
        self.set(self.first, 0);
        self.first += 1;
    }

    pub(super) fn get(&self, number: u64) -> u64 {
        self.nodes[self.leaf(number)]
    }

    pub(super) fn set(&mut self, number: u64, value: u64) {
        let mut node = self.leaf(number);
        self.nodes[node] = value;
        while node > 1 {
            node /= 2;
            self.nodes[node] = self.nodes[2 * node].max(self.nodes[2 * node + 1]);
        }
    }

    /// The greatest of the values at `from` to `to`, the latter left out; 0 when there is none.
    pub(super) fn max(&self, from: u64, to: u64) -> u64 {
        if from >= to {
            return 0;
        }
        let (start, end) = (self.leaf(from), self.leaf(to - 1) + 1);
        if start < end {
            return self.span(start, end);
        }
        self.span(start, self.nodes.len()).max(self.span(self.capacity() as usize, end))
    }

    /// The greatest under the leaves `start` to `end`.
    fn span(&self, mut start: usize, mut end: usize) -> u64 {
        let mut greatest = 0;
        while start < end {
            if start % 2 == 1 {
                greatest = greatest.max(self.nodes[start]);
                start += 1;
            }
            if end % 2 == 1 {
                end -= 1;
                greatest = greatest.max(self.nodes[end]);
            }
            start /= 2;
            end /= 2;
        }
        greatest
    }

    fn grow(&mut self) {
        let values: Vec<u64> = (self.first..self.next).map(|number| self.get(number)).collect();
        self.nodes = vec![0; 2 * self.nodes.len()];
        for (number, value) in (self.first..).zip(values) {
            self.set(number, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maximum_of_every_range_is_that_of_a_plain_list() {
        let mut ring = MaxRing::new();
        let mut plain: Vec<u64> = Vec::new();
        let mut draw = 12_345_u64;
        let mut random = || {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            draw >> 33
        };
        let mut first = 0;
        for _ in 0..400 {
            match random() % 4 {
                0 if first < plain.len() => {
                    ring.pop();
                    first += 1;
                }
                1 if first < plain.len() => {
                    let at = first + random() as usize % (plain.len() - first);
                    plain[at] = random();
                    ring.set(at as u64, plain[at]);
                }
                _ => {
                    plain.push(random());
                    assert_eq!(ring.push(plain[plain.len() - 1]), plain.len() as u64 - 1);
                }
            }
            for from in first..=plain.len() {
                for to in from..=plain.len() {
                    let expected = plain[from..to].iter().copied().max().unwrap_or(0);
                    assert_eq!(ring.max(from as u64, to as u64), expected, "{from}..{to}");
                }
            }
        }
    }
}
