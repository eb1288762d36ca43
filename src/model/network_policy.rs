//! What a NetworkPolicy says, in a form that flows can be held against.

use super::{Labels, Name, Selector};
use std::net::Ipv4Addr;

/// The rules of one policy.
#[derive(Clone, PartialEq, Debug)]
pub struct PolicyRules {
    /// The pods of its namespace that it concerns.
    pub pods: Selector,
    /// Who may ask them; none if it does not restrict that.
    pub ingress: Option<Vec<PolicyRule>>,
    /// Whom they may ask; none if it does not restrict that.
    pub egress: Option<Vec<PolicyRule>>,
}

/// What is allowed.
#[derive(Clone, PartialEq, Debug)]
pub struct PolicyRule {
    /// With whom; everyone if empty.
    pub peers: Vec<PolicyPeer>,
    /// On which ports of the one who is asked; all if empty.
    pub ports: Vec<PolicyPort>,
}

/// Some others.
#[derive(Clone, PartialEq, Debug)]
pub enum PolicyPeer {
    /// Pods.
    Pods {
        /// Of namespaces with these labels; of the policy's own if absent.
        namespaces: Option<Selector>,
        /// With these labels; all if absent.
        pods: Option<Selector>,
    },
    /// Addresses: a block and what is cut out of it.
    Block(Block, Vec<Block>),
}

/// A block of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    network: u32,
    mask: u32,
}

/// A port, or a range of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PolicyPort {
    /// From, to.
    Numbers(u16, u16),
    /// A container port by name.
    Name(Name),
}

impl Block {
    /// Reads `10.0.0.0/8`.
    pub fn parse(text: &str) -> Option<Block> {
        let (address, bits) = text.split_once('/')?;
        let (address, bits): (Ipv4Addr, u32) = (address.parse().ok()?, bits.parse().ok()?);
        let mask = match bits {
            0 => 0,
            1..=32 => u32::MAX << (32 - bits),
            _ => return None,
        };
        Some(Block { network: u32::from(address) & mask, mask })
    }

    /// Whether an address is in it.
    pub fn has(self, address: u32) -> bool {
        address & self.mask == self.network
    }
}

impl PolicyPeer {
    /// Whether a pod in a namespace with these labels is meant; `same` says that the namespace is the policy's own.
    pub fn is_pod(&self, same: bool, namespace: &Labels, labels: &Labels) -> bool {
        match self {
            PolicyPeer::Pods { namespaces, pods } => {
                let there = namespaces.as_ref().map_or(same, |selector| selector.matches(namespace));
                there && pods.as_ref().is_none_or(|selector| selector.matches(labels))
            }
            PolicyPeer::Block(..) => false,
        }
    }

    /// Whether an address is meant that is no pod's.
    pub fn is_address(&self, address: u32) -> bool {
        match self {
            PolicyPeer::Pods { .. } => false,
            PolicyPeer::Block(block, except) => block.has(address) && !except.iter().any(|out| out.has(address)),
        }
    }
}
