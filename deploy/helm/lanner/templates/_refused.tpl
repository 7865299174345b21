{{/*
Values of Falco's chart after which a user would believe in something that is not there. Those that merely have no
meaning here are accepted; README.md has both lists.
*/}}
{{- define "lanner.refused" -}}
{{- $v := .Values -}}
{{- $driver := $v.driver -}}
{{- if eq (toString $driver.enabled) "false" -}}
{{- fail "driver.enabled=false: Lanner has no plugins that it could run without watching the kernel; leave driver.enabled out" -}}
{{- end -}}
{{- if not (has $driver.kind (list "auto" "modern_ebpf" "modern-bpf" "ebpf" "kmod" "module")) -}}
{{- fail (printf "driver.kind=%v: there are auto, modern_ebpf and kmod, which all mean Lanner's own programs" $driver.kind) -}}
{{- end -}}
{{- if dig "engine" "tier" "" $v.falco -}}
{{- fail "falco.engine.tier: set tier instead, which also decides what the pod may do" -}}
{{- end -}}
{{- if and (hasKey $v.falco "engine") (hasKey $v.falco.engine "kind") -}}
{{- fail "falco.engine.kind: set driver.kind instead" -}}
{{- end -}}
{{- if ne $v.controller.kind "daemonset" -}}
{{- fail (printf "controller.kind=%v: Lanner watches nodes, one pod each: leave it at daemonset" $v.controller.kind) -}}
{{- end -}}
{{- if dig "kubernetes" "enabled" false $v.collectors -}}
{{- fail "collectors.kubernetes.enabled: there is no k8smeta here; names, labels and addresses of pods come from the container runtime" -}}
{{- end -}}
{{- $falcoctl := default dict $v.falcoctl -}}
{{- range $what := list "install" "follow" -}}
{{- if dig "artifact" $what "enabled" false $falcoctl -}}
{{- fail (printf "falcoctl.artifact.%s.enabled: no rules are downloaded here; put them into customRules and set this to false" $what) -}}
{{- end -}}
{{- end -}}
{{- if dig "enabled" false (default dict $v.responseActions) -}}
{{- fail "responseActions.enabled: falco-talon is not installed by this chart; install its own, and let falcosidekick tell it" -}}
{{- end -}}
{{- if dig "dashboards" "enabled" false (default dict $v.grafana) -}}
{{- fail "grafana.dashboards.enabled: this chart has no dashboards; Falco's work with Lanner's metrics, as far as their names are in docs/operations.md" -}}
{{- end -}}
{{- if dig "webui" "enabled" false $v.falcosidekick -}}
{{- fail "falcosidekick.webui.enabled: falcosidekick and its UI come from falcosidekick's own chart; falcosidekick.enabled sends alerts to it" -}}
{{- end -}}
{{- if $v.falcosidekick.config -}}
{{- fail "falcosidekick.config: it belongs to falcosidekick's own chart; falcosidekick.enabled sends alerts to it" -}}
{{- end -}}
{{- range $key, $value := default dict $v.certs -}}
{{- if or (and (kindIs "string" $value) $value) (and (kindIs "map" $value) (or $value.key $value.crt)) -}}
{{- fail (printf "certs.%s: mount your secret with mounts.volumes and mounts.volumeMounts, and name its files in falco.http_output or falco.webserver" $key) -}}
{{- end -}}
{{- end -}}
{{- if and $v.metrics.enabled (not (dig "webserver" "enabled" true $v.falco)) -}}
{{- fail "metrics.enabled: the web server tells them, and falco.webserver.enabled is false" -}}
{{- end -}}
{{- if and $v.serviceMonitor.create (not (and $v.metrics.enabled $v.metrics.service.create)) -}}
{{- fail "serviceMonitor.create: there is nothing to scrape without metrics.enabled and metrics.service.create" -}}
{{- end -}}
{{- range $name, $_ := $v.customRules -}}
{{- if not (regexMatch "^[A-Za-z0-9][-._A-Za-z0-9]*[.]ya?ml$" $name) -}}
{{- fail (printf "customRules.%s: rules are read from files that end in .yaml or .yml" $name) -}}
{{- end -}}
{{- if eq $name "lanner.yaml" -}}
{{- fail "customRules: lanner.yaml is the name of the configuration; give the rules another" -}}
{{- end -}}
{{- end -}}
{{- if and $v.customRules (hasKey $v.falco "rules_files") -}}
{{- $read := false -}}
{{- range $path := $v.falco.rules_files -}}
{{- if has (trimSuffix "/" $path) (list "/etc/lanner/rules.d" "/etc/falco/rules.d") -}}{{- $read = true -}}{{- end -}}
{{- end -}}
{{- if not $read -}}
{{- fail "customRules would not be read: add /etc/lanner/rules.d to falco.rules_files, or leave that out" -}}
{{- end -}}
{{- end -}}
{{- end -}}
