{{/*
The pod of one workload. Takes {root, workload}.
*/}}
{{- define "driftwatch.pod" -}}
{{- $values := .root.Values -}}
{{- $workload := .workload -}}
{{- $bundles := $values.bundles -}}
{{- $mounted := and (or $bundles.volume $bundles.fetch) (not (include "driftwatch.forwards" .root)) -}}
{{- if and (include "driftwatch.local" .root) (not $mounted) -}}
{{- fail "bundles: say where they are: bundles.volume, or bundles.fetch" -}}
{{- end -}}
{{- if and $bundles.volume $bundles.fetch -}}
{{- fail "bundles: give bundles.volume or bundles.fetch, not both" -}}
{{- end -}}
{{- $stateful := and (eq $workload.kind "StatefulSet") $workload.state.size -}}
metadata:
  labels:
    {{- include "driftwatch.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ $workload.component }}
    {{- with $workload.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/config: {{ include "driftwatch.config" . | sha256sum }}
    {{- with $workload.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "driftwatch.serviceAccount" .root }}
  automountServiceAccountToken: false
  {{- with $values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $workload.runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
  {{- with $workload.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  terminationGracePeriodSeconds: {{ $workload.terminationGracePeriodSeconds }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  {{- if and $mounted $bundles.fetch }}
  initContainers:
    - name: fetch-bundles
      {{- toYaml $bundles.fetch | nindent 6 }}
      securityContext: {{- include "driftwatch.containerSecurity" . | nindent 8 }}
      volumeMounts:
        - {name: bundles, mountPath: {{ $bundles.mountPath }}}
        - {name: tmp, mountPath: /tmp}
  {{- end }}
  containers:
    - name: driftwatch
      image: "{{ $values.image.repository }}:{{ $values.image.tag | default .root.Chart.AppVersion }}"
      imagePullPolicy: {{ $values.image.pullPolicy }}
      args: [run, /etc/driftwatch/daemon.yaml]
      ports:
        - {name: http, containerPort: {{ $values.service.port }}}
        {{- with include "driftwatch.intake" .root }}
        - {name: intake, containerPort: {{ . }}}
        {{- end }}
      env:
        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        # PyTorch would start a thread for each core of the node, more than a container with fewer can run.
        {{- if dig "limits" "cpu" "" $workload.resources }}
        - {name: OMP_NUM_THREADS, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}
        {{- else if dig "requests" "cpu" "" $workload.resources }}
        - {name: OMP_NUM_THREADS, valueFrom: {resourceFieldRef: {resource: requests.cpu}}}
        {{- end }}
        {{- with $values.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with $values.envFrom }}
      envFrom: {{- toYaml . | nindent 8 }}
      {{- end }}
      resources:
        {{- $resources := deepCopy $workload.resources }}
        {{- if $workload.gpus }}
        {{- $resources = merge (dict "limits" (dict "nvidia.com/gpu" $workload.gpus)) $resources }}
        {{- end }}
        {{- toYaml $resources | nindent 8 }}
      securityContext: {{- include "driftwatch.containerSecurity" . | nindent 8 }}
      # /healthz answers while the daemon loads and calibrates, /readyz succeeds once it reads its source. While a broker
      # is away it is not ready, but it stays alive: a restart would fix nothing.
      startupProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /healthz, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
      readinessProbe:
        httpGet: {path: /readyz, port: http}
        periodSeconds: 5
        timeoutSeconds: 5
      volumeMounts:
        - {name: config, mountPath: /etc/driftwatch, readOnly: true}
        {{- if $mounted }}
        - {name: bundles, mountPath: {{ $bundles.mountPath }}, readOnly: true}
        {{- end }}
        - {name: state, mountPath: /var/lib/driftwatch}
        - {name: tmp, mountPath: /tmp}
        {{- with $values.volumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      configMap: {name: {{ $workload.fullname }}}
    {{- if $bundles.volume }}
    - name: bundles
      {{- toYaml $bundles.volume | nindent 6 }}
    {{- else if $mounted }}
    - name: bundles
      emptyDir: {sizeLimit: {{ $bundles.fetchSizeLimit }}}
    {{- end }}
    - name: tmp
      # Bundles behind URLs are downloaded there before they are loaded.
      emptyDir: {sizeLimit: {{ $bundles.fetchSizeLimit }}}
    {{- if not $stateful }}
    - name: state
      emptyDir: {sizeLimit: 1Gi}
    {{- end }}
    {{- with $values.volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $workload.topologySpread }}
  topologySpreadConstraints:
    {{- range . }}
    - labelSelector:
        matchLabels:
          {{- include "driftwatch.selector" $.root | nindent 10 }}
          app.kubernetes.io/component: {{ $workload.component }}
      {{- toYaml . | nindent 6 }}
    {{- end }}
  {{- end }}
  {{- with $workload.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $workload.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- $tolerations := $workload.tolerations }}
  {{- if $workload.gpus }}
  {{- $tolerations = append $tolerations (dict "key" "nvidia.com/gpu" "operator" "Exists" "effect" "NoSchedule") }}
  {{- end }}
  {{- with $tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "driftwatch.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}
