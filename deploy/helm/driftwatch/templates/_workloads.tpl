{{/*
What runs, as YAML `workloads: [{component, roles, fullname, ...}]`: each is `workload` with its own overrides.
*/}}
{{- define "driftwatch.workloads" -}}
{{- $made := list -}}
{{- $wanted := ternary (list "score" "test") (list "daemon") .Values.splitRoles -}}
{{- range $wanted -}}
{{- $own := get $.Values . | default dict -}}
{{- $one := mergeOverwrite (deepCopy $.Values.workload) (deepCopy $own) -}}
{{- $roles := ternary (list "score" "test") (list .) (eq . "daemon") -}}
{{- $fullname := printf "%s-%s" (include "driftwatch.fullname" $) . -}}
{{- $made = append $made (merge (dict "component" . "roles" $roles "fullname" $fullname) $one) -}}
{{- end -}}
{{- dict "workloads" $made | toYaml -}}
{{- end -}}

{{/*
The daemon's configuration for one workload. Takes {root, workload}.
*/}}
{{- define "driftwatch.config" -}}
{{- $config := deepCopy .root.Values.config -}}
{{- $source := required "config.source: say where samples come from, as in configs/ of the repository" $config.source -}}
{{- if not (include "driftwatch.forwards" .root) -}}
{{- $_ := required "config.streams: name at least one stream and its reference" $config.streams -}}
{{- end -}}
{{- $kafka := eq (toString $source.kind) "kafka" -}}
{{- if and .root.Values.splitRoles (not $kafka) -}}
{{- fail (printf "splitRoles: needs Kafka between the roles, but config.source is of kind %s" $source.kind) -}}
{{- end -}}
{{- $alone := not (or $kafka (include "driftwatch.forwards" .root)) -}}
{{- if and $alone (or (gt (int .workload.replicas) 1) (ne .workload.autoscaling.by "none")) -}}
{{- fail (printf "replicas: with a source of kind %s each of several would test a share of the stream by itself; let them forward to Kafka (config.source.forward), and read that" $source.kind) -}}
{{- end -}}
{{- $server := merge (dict "port" (int .root.Values.service.port)) ($config.server | default dict) (dict "host" "0.0.0.0") -}}
{{- $log := merge ($config.log | default dict) (dict "format" "json") -}}
{{- $config = merge (dict "roles" .workload.roles "server" $server "log" $log) $config -}}
{{- if and $kafka (eq .workload.kind "StatefulSet") (not $source.instance) -}}
{{- $config = set $config "source" (merge (dict "instance" "${POD_NAME}") $source) -}}
{{- end -}}
{{- if include "driftwatch.intake" .root -}}
{{- $config = set $config "source" (merge $source (dict "host" "0.0.0.0")) -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/*
The port that samples are posted to, if it is not that of the metrics; empty if it is, or if nothing is posted.
*/}}
{{- define "driftwatch.intake" -}}
{{- $source := .Values.config.source | default dict -}}
{{- if eq (toString $source.kind) "http" -}}{{- with $source.port -}}{{- int . -}}{{- end -}}{{- end -}}
{{- end -}}

{{/*
Whether this only forwards what is posted to Kafka, so that it needs no streams and no bundles; empty if not.
*/}}
{{- define "driftwatch.forwards" -}}
{{- if and .Values.config.source .Values.config.source.forward -}}true{{- end -}}
{{- end -}}

{{/*
Whether a stream's reference is a path, so that bundles must be mounted; empty if all are URLs (`s3://...`, `models:/...`).
*/}}
{{- define "driftwatch.local" -}}
{{- range .Values.config.streams -}}
{{- $reference := toString .reference -}}
{{- if or (hasPrefix "file:" $reference) (not (regexMatch "^[A-Za-z][A-Za-z0-9+.-]+:" $reference)) -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/*
One trigger's metadata for KEDA: the lag of the group that a workload's pods read with. Takes {root, workload}.
*/}}
{{- define "driftwatch.lag" -}}
{{- $source := .root.Values.config.source -}}
{{- if ne (toString $source.kind) "kafka" -}}
{{- fail "autoscaling.by: lag needs config.source of kind kafka" -}}
{{- end -}}
{{- $group := default "driftwatch" $source.group -}}
{{- $panes := default (printf "%s.panes" $group) (dig "topics" "panes" "" $source) -}}
{{- $scores := has "score" .workload.roles -}}
{{- $servers := .workload.autoscaling.bootstrapServers -}}
{{- if not $servers -}}
{{- $stated := $source.bootstrap_servers -}}
{{- $servers = kindIs "string" $stated | ternary $stated (join "," (kindIs "slice" $stated | ternary $stated list)) -}}
{{- end -}}
{{- if contains "${" $servers -}}
{{- fail "autoscaling.bootstrapServers: KEDA cannot read ${...} of config.source.bootstrap_servers; state them" -}}
{{- end -}}
bootstrapServers: {{ $servers | quote }}
consumerGroup: {{ ternary $group (printf "%s.test" $group) $scores | quote }}
topic: {{ ternary $source.topic $panes $scores | quote }}
lagThreshold: {{ .workload.autoscaling.lagThreshold | toString | quote }}
offsetResetPolicy: {{ default "earliest" $source.start | quote }}
{{- end -}}
