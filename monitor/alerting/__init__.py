"""The rules of alerts.yaml: what a file may say, and whether it does. Pure: text in, values or mistakes out."""
