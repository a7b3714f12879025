{{- define "selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
{{- define "labels" -}}
{{ include "selector" . }}
app.kubernetes.io/version: {{ .Values.image | splitList ":" | last | trunc 12 | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}
