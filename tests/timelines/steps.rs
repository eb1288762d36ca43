//! Milestones of a timeline, whichever cluster it comes from.

/// One milestone: something happened (or should have and did not).
#[derive(Clone, Debug)]
pub struct Step {
    /// Which crash, or which action of the driver.
    pub cycle: usize,
    /// What the milestone is called in the table. Equal keys are compared with each other.
    pub key: String,
    /// Whose it is, where several workloads go through the same steps.
    pub workload: String,
    /// When, in seconds since the zero of the timeline; `None` if it never happened.
    pub at: Option<f64>,
    /// The instant it is measured from.
    pub since: f64,
}

impl Step {
    /// The interval that is compared.
    pub fn interval(&self) -> Option<f64> {
        self.at.map(|at| at - self.since)
    }
}

/// Collects the steps of one cycle.
pub struct Steps<'a> {
    pub cycle: usize,
    pub out: &'a mut Vec<Step>,
}

impl Steps<'_> {
    /// A step of the cycle as a whole. Without a beginning there is nothing to measure.
    pub fn add(&mut self, key: &str, since: Option<f64>, at: Option<f64>) {
        self.of(key, "", since, at);
    }

    /// A step of one workload.
    pub fn of(&mut self, key: &str, workload: &str, since: Option<f64>, at: Option<f64>) {
        if let Some(since) = since {
            let (key, workload) = (key.to_string(), workload.to_string());
            self.out.push(Step { cycle: self.cycle, key, workload, at, since });
        }
    }
}

/// The earliest and the latest of some instants.
pub fn ends(times: impl Iterator<Item = f64>) -> (Option<f64>, Option<f64>) {
    times.fold((None, None), |(first, last), t| {
        (Some(first.map_or(t, |first: f64| first.min(t))), Some(last.map_or(t, |last: f64| last.max(t))))
    })
}
