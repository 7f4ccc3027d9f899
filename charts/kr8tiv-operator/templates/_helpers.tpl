{{- define "kr8tiv-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "kr8tiv-operator.fullname" -}}
{{- $name := include "kr8tiv-operator.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "kr8tiv-operator.serviceAccountName" -}}
{{- default (include "kr8tiv-operator.fullname" .) .Values.serviceAccount.name }}
{{- end }}

{{- /* Where the tenants are: in any namespace, or in one. */ -}}
{{- define "kr8tiv-operator.roleKind" -}}
{{ ternary "Role" "ClusterRole" (not (empty .Values.watchNamespace)) }}
{{- end }}

{{- /* In its own namespace, the operator has another Role, for its Lease. */ -}}
{{- define "kr8tiv-operator.tenantsRoleName" -}}
{{- if .Values.watchNamespace }}
{{- include "kr8tiv-operator.fullname" . | trunc 55 | trimSuffix "-" }}-tenants
{{- else }}
{{- include "kr8tiv-operator.fullname" . }}
{{- end }}
{{- end }}

{{- /* Immutable in a Deployment: nothing that a value or a new version changes. */ -}}
{{- define "kr8tiv-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "kr8tiv-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- /* Of the Pod of `helm test`. */ -}}
{{- define "kr8tiv-operator.testLabels" -}}
app.kubernetes.io/name: {{ include "kr8tiv-operator.name" . | trunc 58 | trimSuffix "-" }}-test
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "kr8tiv-operator.webhookName" -}}
{{- include "kr8tiv-operator.fullname" . | trunc 55 | trimSuffix "-" }}-webhook
{{- end }}

{{- /* cert-manager's Secret is another than ours: it outlives the Certificate, and Helm takes over nobody else's. */ -}}
{{- define "kr8tiv-operator.webhookSecretName" -}}
{{- include "kr8tiv-operator.webhookName" . }}{{ if .Values.webhook.certManager.enabled }}-tls{{ end }}
{{- end }}

{{- /* Another name than the operator's: its Deployment and the tenants' NetworkPolicies must not take one for the other. */ -}}
{{- define "kr8tiv-operator.webhookSelectorLabels" -}}
app.kubernetes.io/name: {{ include "kr8tiv-operator.name" . | trunc 55 | trimSuffix "-" }}-webhook
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- /* The lines `labels:` and `annotations:` of an object of the webhook. Arguments: as for `metadata`. */ -}}
{{- define "kr8tiv-operator.webhookMetadata" -}}
{{- $labels := mergeOverwrite (dict) (default dict .labels) (dict "app.kubernetes.io/component" "webhook") }}
{{- include "kr8tiv-operator.metadata" (dict
  "context" .context "labels" $labels "annotations" .annotations "selector" .selector) }}
{{- end }}

{{- /* Arguments: the context, extra labels, and those of a selector that is not the operator's; the chart's own win,
because selectors and Helm rely on them. */ -}}
{{- define "kr8tiv-operator.labels" -}}
{{- $own := default (include "kr8tiv-operator.selectorLabels" .context) .selector | fromYaml }}
{{- $labels := dict
  "app.kubernetes.io/version" .context.Chart.AppVersion
  "app.kubernetes.io/managed-by" .context.Release.Service
  "app.kubernetes.io/part-of" "kr8tiv"
  "helm.sh/chart" (printf "%s-%s" .context.Chart.Name .context.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") }}
{{- toYaml (mergeOverwrite (dict) .context.Values.commonLabels (default dict .extra) $labels $own) }}
{{- end }}

{{- /* The lines `labels:` and, where there are any, `annotations:` of an object.
Arguments: the context, extra labels and annotations of that object, and a selector's labels. */ -}}
{{- define "kr8tiv-operator.metadata" -}}
labels:
  {{- include "kr8tiv-operator.labels" (dict "context" .context "extra" .labels "selector" .selector) | nindent 2 }}
{{- with mergeOverwrite (dict) .context.Values.commonAnnotations (default dict .annotations) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* Reference of an image. Arguments: its values, and the tag when they have none. */ -}}
{{- define "kr8tiv-operator.image" -}}
{{- if .image.digest }}
{{- printf "%s@%s" .image.repository .image.digest }}
{{- else }}
{{- printf "%s:%s" .image.repository (default .tag .image.tag) }}
{{- end }}
{{- end }}
