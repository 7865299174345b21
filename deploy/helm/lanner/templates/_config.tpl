{{/* Sockets of other runtimes, as a JSON list of {engine, path}. Each one's folder is mounted below /host. */}}
{{- define "lanner.sockets" -}}
{{- $sockets := list -}}
{{- if and .Values.collectors.enabled .Values.collectors.containerEngine.enabled -}}
{{- range $engine := list "docker" "podman" "containerd" "cri" -}}
{{- $of := get $.Values.collectors.containerEngine.engines $engine | default dict -}}
{{- if $of.enabled -}}
{{- range $path := default list $of.sockets -}}
{{- if not (and (has $engine (list "containerd" "cri")) (eq $path $.Values.containerd.address)) -}}
{{- $sockets = append $sockets (dict "engine" $engine "path" $path) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $sockets -}}
{{- end -}}

{{/* lanner.yaml: what the values make of it, and over that what falco says itself. */}}
{{- define "lanner.config" -}}
{{- $v := .Values -}}
{{- $modern := dict -}}
{{- $kmod := dict -}}
{{- range $key, $value := dict "buf_size_preset" $v.driver.modernEbpf.bufSizePreset "drop_failed_exit" $v.driver.modernEbpf.dropFailedExit "cpus_for_each_buffer" $v.driver.modernEbpf.cpusForEachBuffer -}}
{{- if not (kindIs "invalid" $value) -}}{{- $_ := set $modern $key $value -}}{{- end -}}
{{- end -}}
{{- range $key, $value := dict "buf_size_preset" $v.driver.kmod.bufSizePreset "drop_failed_exit" $v.driver.kmod.dropFailedExit -}}
{{- if not (kindIs "invalid" $value) -}}{{- $_ := set $kmod $key $value -}}{{- end -}}
{{- end -}}
{{- $engine := dict "tier" $v.tier -}}
{{- if has $v.driver.kind (list "kmod" "module") -}}
{{- $_ := set $engine "kind" "kmod" -}}
{{- with $kmod }}{{- $_ := set $engine "kmod" . -}}{{- end -}}
{{- else -}}
{{- $_ := set $engine "kind" "modern_ebpf" -}}
{{- with $modern }}{{- $_ := set $engine "modern_ebpf" . -}}{{- end -}}
{{- end -}}
{{- $config := dict "engine" $engine -}}
{{- $_ := set $config "nri" (ternary (dict "enabled" true "socket_path" $v.nri.socketPath) (dict "enabled" false) $v.nri.enabled) -}}
{{- $_ := set $config "containerd" (ternary (dict "enabled" true "address" $v.containerd.address) (dict "enabled" false) $v.containerd.enabled) -}}
{{- $engines := dict "docker" (dict "enabled" false) "podman" (dict "enabled" false) -}}
{{- range $socket := include "lanner.sockets" . | fromJsonArray -}}
{{- $of := get $engines $socket.engine | default dict -}}
{{- $_ := set $of "enabled" true -}}
{{- $_ := set $of "sockets" (append (default list $of.sockets) (printf "/host%s" $socket.path)) -}}
{{- $_ := set $engines $socket.engine $of -}}
{{- end -}}
{{- with $v.collectors.containerEngine.labelMaxLen }}{{- $_ := set $engines "label_max_len" (int .) -}}{{- end -}}
{{- $_ := set $config "container_engines" $engines -}}
{{- if $v.metrics.enabled -}}
{{- $m := $v.metrics -}}
{{- $_ := set $config "metrics" (dict "enabled" true "interval" $m.interval "output_rule" $m.outputRule "rules_counters_enabled" $m.rulesCountersEnabled "resource_utilization_enabled" $m.resourceUtilizationEnabled "state_counters_enabled" $m.stateCountersEnabled "kernel_event_counters_enabled" $m.kernelEventCountersEnabled "kernel_event_counters_per_cpu_enabled" $m.kernelEventCountersPerCPUEnabled "libbpf_stats_enabled" $m.libbpfStatsEnabled "convert_memory_to_mb" $m.convertMemoryToMB "include_empty_values" $m.includeEmptyValues) -}}
{{- $_ := set $config "webserver" (dict "enabled" true "prometheus_metrics_enabled" true) -}}
{{- end -}}
{{- if $v.falcosidekick.enabled -}}
{{- $host := printf "%s-falcosidekick" .Release.Name -}}
{{- if $v.falcosidekick.fullfqdn -}}{{- $host = printf "%s.%s.svc.cluster.local" $host (include "lanner.namespace" .) -}}{{- end -}}
{{- $url := default (printf "http://%s:%v" $host (default "2801" $v.falcosidekick.listenPort)) $v.falcosidekick.url -}}
{{- $_ := set $config "json_output" true -}}
{{- $_ := set $config "http_output" (dict "enabled" true "url" $url) -}}
{{- end -}}
{{- mergeOverwrite $config (deepCopy $v.falco) | toYaml -}}
{{- end -}}
