//! A pod in the mean: how many requests are in it, how many it answers, how long they wait.
//!
//! The number of requests in a pod is a birth-and-death chain: they come at a rate, and n of them are done at the rate
//! `min(n, concurrency) / service time`, less where they need more of the processor than there is. That is exact for
//! exponential service times, and for any where none waits (a shared processor does not mind their shape). For others
//! the part that waits is corrected: for one at a time exactly (Pollaczek and Khinchine), for several by Cosmetatos' and
//! Page's interpolation between exponential and constant service, beyond exponential as Allen and Cunneen do, and for
//! arrivals that are more even than random as Kraemer and Langenbach-Belz do.
//!
//! A worked example: 80 requests a second at random, 10 ms each, one at a time: 4 are in the pod in the mean, 3.2 of
//! them wait. Were every one exactly 10 ms long, 1.6 would.

/// A pod, as far as its queue is concerned. Times are in seconds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Station {
    /// Mean service time at full speed, without what it waits for others.
    pub service: f64,
    /// What it waits for others while it keeps its place.
    pub away: f64,
    /// Squared coefficient of variation of both together.
    pub variation: f64,
    pub concurrency: u32,
    /// Requests that may wait.
    pub room: u32,
    /// Processors that a request needs while it is at work, and those that there are.
    pub cpu_share: f64,
    pub cores: f64,
}

/// What a station comes to at some rate.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Steady {
    /// Requests in it.
    pub inside: f64,
    /// Those of them that wait.
    pub waiting: f64,
    /// Requests done each second.
    pub done: f64,
    /// The share that finds no room.
    pub refused: f64,
    /// The share of the others that has to wait.
    pub delayed: f64,
}

/// A sum of chain weights is scaled down beyond this.
const LARGE: f64 = 1e150;

impl Station {
    /// Requests done each second while `n` are at work.
    pub(super) fn speed(&self, n: f64) -> f64 {
        let whole = self.service + self.away;
        let wanted = n * self.cpu_share * self.service / whole;
        let slowed = if wanted > self.cores { self.service * wanted / self.cores } else { self.service };
        n / (slowed + self.away)
    }

    /// The most that it does.
    pub(super) fn capacity(&self) -> f64 {
        self.speed(f64::from(self.concurrency))
    }

    /// How long a request is at work when `n` are.
    pub(super) fn held(&self, n: f64) -> f64 {
        n.max(1e-9) / self.speed(n.max(1e-9))
    }

    /// The long run at a rate of arrivals with a squared coefficient of variation.
    pub(super) fn steady(&self, rate: f64, arrivals: f64) -> Steady {
        if rate <= 0.0 {
            return Steady::default();
        }
        let places = self.concurrency;
        // Weights of 0 … concurrency requests; sums of weight, of requests at work, and of what is done.
        let (mut weight, mut all, mut work, mut done) = (1.0, 1.0, 0.0, 0.0);
        for n in 1..=places {
            let n = f64::from(n);
            let speed = self.speed(n);
            weight *= rate / speed;
            all += weight;
            work += n * weight;
            done += speed * weight;
            if all > LARGE {
                let down = 1.0 / LARGE;
                (weight, all, work, done) = (weight * down, all * down, work * down, done * down);
            }
        }
        let ratio = rate / self.capacity();
        let queueing = match ratio < 1.0 {
            true => self.queueing(ratio, arrivals),
            // Seen from the full end, what is done comes and what comes is done. Several places together are a
            // little more random than one (fitted to runs one by one).
            false => (arrivals + 1.0 - (1.0 - self.variation) * libm::pow(f64::from(places), -0.125)) / 2.0,
        };
        let tail = Tail::of(ratio, f64::from(self.room), queueing);
        // Everything in units in which the tail does not overflow; the state before the queue goes with the queue.
        let (full, scale, most) = (weight * tail.last_busy, tail.scale, f64::from(places));
        let moved = (full - weight) * scale;
        let all = all * scale + moved + full * tail.mass;
        let work = work * scale + (moved + full * tail.mass) * most;
        let done = (done * scale + (moved + full * tail.mass) * self.capacity()) / all;
        let waiting = full * tail.mean / all;
        let refused = match (self.room > 0, ratio < 1.0) {
            (false, _) => weight * scale / all,
            (true, true) => full * tail.end / all,
            // What comes and is not done.
            (true, false) => (1.0 - done / rate).max(0.0),
        };
        let busy = full * (scale + tail.mass) / all;
        let delayed = ((busy - refused) / (1.0 - refused).max(1e-12)).clamp(0.0, 1.0);
        Steady { inside: work / all + waiting, waiting, done: done.min(rate), refused, delayed }
    }

    /// How long queues are compared with those of exponential service and random arrivals.
    fn queueing(&self, load: f64, arrivals: f64) -> f64 {
        let (places, load) = (f64::from(self.concurrency), load.clamp(1e-6, 1.0));
        let even = (1.0 - load) * (places - 1.0) * (libm::sqrt(4.0 + 5.0 * places) - 2.0) / (16.0 * load * places);
        let constant = 0.5 * (1.0 + even).min(2.0);
        let general = match self.variation < 1.0 {
            true => self.variation + (1.0 - self.variation) * constant,
            false => (1.0 + self.variation) / 2.0,
        };
        if arrivals >= 1.0 {
            return general * (arrivals + self.variation) / (1.0 + self.variation);
        }
        let sum = (arrivals + self.variation).max(1e-6);
        let calm = libm::exp(-2.0 * (1.0 - load) * (1.0 - arrivals) * (1.0 - arrivals) / (3.0 * load * sum));
        general * sum / (1.0 + self.variation) * calm
    }

    /// The rate at which so many requests are in it in the long run; none if it never has so many.
    pub(super) fn rate_of(&self, inside: f64, arrivals: f64) -> f64 {
        let (mut low, mut high) = (0.0, self.capacity() * 4.0);
        for _ in 0..48 {
            let middle = 0.5 * (low + high);
            match self.steady(middle, arrivals).inside < inside {
                true => low = middle,
                false => high = middle,
            }
        }
        0.5 * (low + high)
    }
}

/// The states in which someone waits: 1 … room, each `ratio` times as likely as the one before.
struct Tail {
    /// What everything else is to be multiplied with.
    scale: f64,
    /// What the weight of the last state without a queue is to be multiplied with; what follows is in units of it.
    last_busy: f64,
    mass: f64,
    /// Times the number that waits.
    mean: f64,
    /// Of the last state.
    end: f64,
}

impl Tail {
    fn of(ratio: f64, room: f64, queueing: f64) -> Tail {
        if room <= 0.0 {
            return Tail { scale: 1.0, last_busy: 1.0, mass: 0.0, mean: 0.0, end: 0.0 };
        }
        if ratio < 1.0 {
            // All places are busy as often, but queues are longer or shorter.
            let scaled = queueing * ratio / (1.0 - ratio);
            let ratio_scaled = scaled / (1.0 + scaled);
            let (mass, mean, end) = geometric(ratio_scaled, room);
            return Tail { scale: 1.0, last_busy: (1.0 - ratio_scaled) / (1.0 - ratio), mass, mean, end };
        }
        // Seen from the other end, so that nothing overflows: the last state has weight 1.
        let back = 1.0 / ratio;
        let (mass, from_end, _) = geometric(back, room);
        // States by their distance from the last, 0 … room - 1: back^k; `geometric` begins at 1.
        let (mass, from_end) = (mass / back, from_end / back - mass / back);
        // The distance from the last varies less, or more, with the times; all places are busy as often.
        let longest = if back < 1.0 { back / (1.0 - back) } else { room };
        let from_end = (from_end * queueing).min(mass * longest.min(room / 2.0));
        let scale = libm::exp(-room * libm::log(ratio));
        Tail { scale, last_busy: 1.0, mass, mean: room * mass - from_end, end: 1.0 }
    }
}

/// Sums over k = 1 … n of `r^k` and of `k r^k`, and `r^n`.
fn geometric(r: f64, n: f64) -> (f64, f64, f64) {
    if (1.0 - r).abs() < 1e-9 {
        return (n, n * (n + 1.0) / 2.0, 1.0);
    }
    let last = if r > 0.0 { libm::exp(n * libm::log(r)) } else { 0.0 };
    let sum = r * (1.0 - last) / (1.0 - r);
    let weighted = (sum - n * last * r) / (1.0 - r);
    (sum, weighted, last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn station(concurrency: u32, room: u32, variation: f64) -> Station {
        Station { service: 0.01, away: 0.0, variation, concurrency, room, cpu_share: 1.0, cores: f64::INFINITY }
    }

    fn near(have: f64, expected: f64, within: f64, what: &str) {
        assert!((have - expected).abs() <= within * expected.abs().max(1e-9), "{what}: {have}, expected {expected}");
    }

    #[test]
    fn known_queues_come_out() {
        for load in [0.3, 0.5, 0.8, 0.95, 0.99] {
            // M/M/1: load/(1 - load) inside; M/D/1: half the queue; M/G/1: (1 + c²)/2 of it.
            let queue = load * load / (1.0 - load);
            for variation in [1.0, 0.0, 0.4, 2.5] {
                let have = station(1, 1_000_000, variation).steady(load * 100.0, 1.0);
                near(have.waiting, queue * (1.0 + variation) / 2.0, 1e-6, "M/G/1");
                near(have.done, load * 100.0, 1e-6, "done");
            }
            // A processor for one that ten share: as M/M/1, whatever the service times.
            let shared = Station { cores: 1.0, ..station(2_000, 0, 0.0) }.steady(load * 100.0, 1.0);
            near(shared.inside, load / (1.0 - load), 1e-6, "M/G/1-PS");
        }
        // M/M/5 at 0.8: Erlang's C for 4 of 5 is 0.5541, so 0.5541 · 4 wait.
        let five = station(5, 1_000_000, 1.0).steady(400.0, 1.0);
        near(five.delayed, 0.5541, 1e-3, "M/M/5");
        near(five.waiting, 0.5541 * 4.0, 1e-3, "M/M/5");
        // M/M/1/1 (Erlang's loss formula) at 2: two thirds are refused. M/M/2/2 at 2: 2/(1 + 2 + 2).
        near(station(1, 0, 1.0).steady(200.0, 1.0).refused, 2.0 / 3.0, 1e-9, "M/M/1/1");
        near(station(2, 0, 1.0).steady(200.0, 1.0).refused, 0.4, 1e-9, "M/M/2/2");
        // M/M/1 with room for 4 at load 2: P(5) = (1 - 2) 2^5 / (1 - 2^6) = 32/63.
        near(station(1, 4, 1.0).steady(200.0, 1.0).refused, 32.0 / 63.0, 1e-9, "M/M/1/5");
        // And with room for 3,000 (2^3000 is no number): half are refused, and all but one place is taken.
        let full = station(1, 3_000, 1.0).steady(200.0, 1.0);
        near(full.refused, 0.5, 1e-9, "full");
        near(full.waiting, 2_999.0, 1e-6, "full");
    }

    #[test]
    fn the_inverse_is_the_inverse() {
        for (station, rate) in
            [(station(1, 1_000, 1.0), 90.0), (station(8, 50, 0.4), 300.0), (station(8, 50, 0.4), 900.0)]
        {
            let inside = station.steady(rate, 1.0).inside;
            near(
                station.steady(station.rate_of(inside, 1.0), 1.0).done,
                station.steady(rate, 1.0).done,
                1e-3,
                "inverse",
            );
        }
    }
}
