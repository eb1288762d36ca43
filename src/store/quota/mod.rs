//! Resource quotas: what an object uses, which quotas count it, and whether they let it in
//! (`pkg/quota/v1/`, `staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota/`).
//!
//! A worked example: quota `team` allows `requests.cpu: 4` and has 3900m used. A pod that requests 1 is refused:
//! `exceeded quota: team, requested: requests.cpu=1, used: requests.cpu=3900m, limited: requests.cpu=4`. One that
//! requests 100m is let in, and the status of the quota says 4 from then on.

pub mod admission;
pub mod pods;
pub mod scopes;
pub mod usage;
