// Package gitops holds the tests of what Argo CD and Flux make of our manifests and statuses; `gitops/run` runs them.
// There is no code but the tests, which use the engines of both as libraries.
package gitops
