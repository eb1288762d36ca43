//! The volumes of a pod (`ValidateVolumes`).

use k8s_openapi::api::core::v1::{HostPathVolumeSource, KeyToPath, NFSVolumeSource, PodSpec, Volume};
use std::collections::BTreeSet;

use super::{Findings, names};

/// The words for what a path on the node must be; nothing for anything.
const HOST_PATH_TYPES: &[&str] =
    &["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
/// The most that the mode of a file can say, in octal 0777.
const MODE_MAX: i32 = 0o777;

impl Findings {
    /// The names of the volumes that nothing is wrong with.
    pub(super) fn volumes<'a>(&mut self, path: &str, spec: &'a PodSpec) -> BTreeSet<&'a str> {
        let mut good = BTreeSet::new();
        for (index, volume) in spec.volumes.iter().flatten().enumerate() {
            let path = format!("{path}.volumes[{index}]");
            let before = self.0.len();
            self.volume_source(&path, volume);
            let name = volume.name.as_str();
            match name {
                "" => self.required(format!("{path}.name"), ""),
                name => self.invalid_each(&format!("{path}.name"), name, names::dns_label(name)),
            }
            if good.contains(name) {
                self.duplicate(format!("{path}.name"), name);
            }
            if self.0.len() == before {
                good.insert(name);
            }
        }
        good
    }

    /// At most one source, and what it needs. A volume without one is an empty directory.
    fn volume_source(&mut self, path: &str, volume: &Volume) {
        let given = [
            ("emptyDir", volume.empty_dir.is_some()),
            ("hostPath", volume.host_path.is_some()),
            ("secret", volume.secret.is_some()),
            ("nfs", volume.nfs.is_some()),
            ("persistentVolumeClaim", volume.persistent_volume_claim.is_some()),
            ("downwarAPI", volume.downward_api.is_some()),
            ("configMap", volume.config_map.is_some()),
            ("projected", volume.projected.is_some()),
            ("csi", volume.csi.is_some()),
            ("ephemeral", volume.ephemeral.is_some()),
            ("image", volume.image.is_some()),
        ];
        let mut given = given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name);
        let first = given.next().unwrap_or_default();
        for other in given {
            self.forbidden(format!("{path}.{other}"), "may not specify more than 1 volume type");
        }
        let at = format!("{path}.{first}");
        match first {
            "hostPath" => volume.host_path.iter().for_each(|source| self.host_path(&at, source)),
            "nfs" => volume.nfs.iter().for_each(|source| self.nfs(&at, source)),
            "secret" => {
                let Some(source) = &volume.secret else { return };
                self.name_of_other(&format!("{at}.secretName"), source.secret_name.as_deref());
                self.files(&at, source.default_mode, source.items.as_deref());
            }
            "configMap" => {
                let Some(source) = &volume.config_map else { return };
                self.name_of_other(&format!("{at}.name"), Some(&source.name));
                self.files(&at, source.default_mode, source.items.as_deref());
            }
            "persistentVolumeClaim" => {
                let claim = volume.persistent_volume_claim.as_ref().map(|source| source.claim_name.as_str());
                self.name_of_other(&format!("{at}.claimName"), claim);
            }
            "emptyDir" => {
                let limit = volume.empty_dir.as_ref().and_then(|source| source.size_limit.as_ref());
                if limit.is_some_and(|limit| limit.0.starts_with('-')) {
                    self.forbidden(format!("{at}.sizeLimit"), "SizeLimit field must be a valid resource quantity");
                }
            }
            "csi" => volume.csi.iter().for_each(|source| self.driver(&format!("{at}.driver"), &source.driver)),
            "ephemeral" if volume.ephemeral.as_ref().is_some_and(|one| one.volume_claim_template.is_none()) => {
                self.required(format!("{at}.volumeClaimTemplate"), "");
            }
            _ => {}
        }
    }

    /// A name that must be there.
    fn name_of_other(&mut self, path: &str, name: Option<&str>) {
        if name.is_none_or(str::is_empty) {
            self.required(path, "");
        }
    }

    fn host_path(&mut self, path: &str, source: &HostPathVolumeSource) {
        if source.path.is_empty() {
            self.required(format!("{path}.path"), "");
            return;
        }
        self.no_backsteps(&format!("{path}.path"), &source.path);
        self.one_of(format!("{path}.type"), source.type_.as_ref(), HOST_PATH_TYPES);
    }

    fn nfs(&mut self, path: &str, source: &NFSVolumeSource) {
        self.name_of_other(&format!("{path}.server"), Some(&source.server));
        self.name_of_other(&format!("{path}.path"), Some(&source.path));
        if !source.path.starts_with('/') {
            self.invalid(format!("{path}.path"), &source.path, "must be an absolute path");
        }
    }

    /// The files that keys become.
    fn files(&mut self, path: &str, mode: Option<i32>, items: Option<&[KeyToPath]>) {
        self.file_mode(format!("{path}.defaultMode"), mode);
        for (index, item) in items.into_iter().flatten().enumerate() {
            let path = format!("{path}.items[{index}]");
            if item.key.is_empty() {
                self.required(format!("{path}.key"), "");
            }
            match item.path.as_str() {
                "" => self.required(format!("{path}.path"), ""),
                file => self.descending_path(&format!("{path}.path"), file),
            }
            self.file_mode(format!("{path}.mode"), item.mode);
        }
    }

    fn file_mode(&mut self, path: String, mode: Option<i32>) {
        if let Some(mode) = mode.filter(|mode| !(0..=MODE_MAX).contains(mode)) {
            self.invalid_value(path, &mode, "must be a number between 0 and 0777 (octal), both inclusive");
        }
    }

    /// A path that leads down from where it begins (`validateLocalDescendingPath`).
    pub(super) fn descending_path(&mut self, path: &str, text: &str) {
        if text.starts_with('/') {
            self.invalid(path, text, "must be a relative path");
        }
        self.no_backsteps(path, text);
    }

    fn no_backsteps(&mut self, path: &str, text: &str) {
        if text.split('/').any(|step| step == "..") {
            self.invalid(path, text, "must not contain '..'");
        }
    }
}
