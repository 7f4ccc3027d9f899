// What Argo CD and Flux say of statuses that the product wrote. Reads files, and writes one on demand.
package gitops

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/health"
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const (
	configMapFile = "argocd/argocd-cm.yaml"
	scriptFile    = "argocd/health.lua"
	fluxFile      = "flux/tenants.yaml"
)

// What is expected of a recorded object. The keys of Argo CD's own tests are named as it names them.
type expectation struct {
	InputPath    string              `json:"inputPath"`
	HealthStatus health.HealthStatus `json:"healthStatus"`
	Kstatus      status.Status       `json:"kstatus"`
	// With the expression in flux/tenants.yaml. Empty: as kstatus.
	Flux status.Status `json:"flux,omitempty"`
}

func expectations(t *testing.T) []expectation {
	t.Helper()
	var file struct {
		Tests []expectation `json:"tests"`
	}
	read(t, "health_test.yaml", &file)
	return file.Tests
}

func TestHealthOfRecordedStatuses(t *testing.T) {
	ours := healthOf(t)
	flux := fluxEvaluators(t)
	for _, expected := range expectations(t) {
		t.Run(filepath.Base(expected.InputPath), func(t *testing.T) {
			object := record(t, expected.InputPath)

			found, err := health.GetResourceHealth(object, ours)
			if err != nil {
				t.Fatal(err)
			}
			if *found != expected.HealthStatus {
				t.Errorf("Argo CD says %q %q, expected %q %q", found.Status, found.Message, expected.HealthStatus.Status,
					expected.HealthStatus.Message)
			}

			result, err := status.Compute(object)
			if err != nil {
				t.Fatal(err)
			}
			if result.Status != expected.Kstatus {
				t.Errorf("kstatus says %s: %s, expected %s", result.Status, result.Message, expected.Kstatus)
			}

			wanted := expected.Kstatus
			if expected.Flux != "" {
				wanted = expected.Flux
			}
			if evaluator := flux[object.GetKind()]; evaluator != nil {
				evaluated, err := evaluator.Evaluate(context.Background(), object)
				if err != nil {
					t.Fatal(err)
				}
				if evaluated.Status != wanted {
					t.Errorf("Flux says %s by the expressions, expected %s", evaluated.Status, wanted)
				}
			}
		})
	}
}

// A later status must not go unnoticed because nobody wrote down what to expect of it.
func TestEveryRecordIsExpectedOnce(t *testing.T) {
	recorded, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var expected []string
	for _, one := range expectations(t) {
		expected = append(expected, one.InputPath)
	}
	sort.Strings(expected)
	if strings.Join(recorded, "\n") != strings.Join(expected, "\n") {
		t.Errorf("recorded are\n%s\nand health_test.yaml speaks of\n%s", strings.Join(recorded, "\n"),
			strings.Join(expected, "\n"))
	}
}

// The ConfigMap has the script once for each kind. UPDATE=1 writes it.
func TestConfigMapIsCurrent(t *testing.T) {
	script, err := os.ReadFile(scriptFile)
	if err != nil {
		t.Fatal(err)
	}
	var wanted strings.Builder
	wanted.WriteString("# Generated from health.lua by `gitops/run --update`. What to do with it: docs/gitops.md.\n")
	wanted.WriteString("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: argocd-cm\n  namespace: argocd\ndata:\n")
	for _, kind := range kinds {
		wanted.WriteString("  " + healthKey(kind) + ": |\n")
		for line := range strings.Lines(string(script)) {
			wanted.WriteString(strings.TrimRight("    "+line, " \n") + "\n")
		}
	}
	if os.Getenv("UPDATE") == "1" {
		if err := os.WriteFile(configMapFile, []byte(wanted.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	found, err := os.ReadFile(configMapFile)
	if err != nil {
		t.Fatal(err)
	}
	if string(found) != wanted.String() {
		t.Errorf("%s is not what %s says: gitops/run --update", configMapFile, scriptFile)
	}
}

// The expressions as kustomize-controller compiles them, by kind.
func fluxEvaluators(t *testing.T) map[string]*cel.StatusEvaluator {
	t.Helper()
	var kustomization struct {
		Spec struct {
			HealthCheckExprs []kustomize.CustomHealthCheck `json:"healthCheckExprs"`
		} `json:"spec"`
	}
	read(t, fluxFile, &kustomization)
	evaluators := map[string]*cel.StatusEvaluator{}
	for _, check := range kustomization.Spec.HealthCheckExprs {
		evaluator, err := cel.NewStatusEvaluator(&check.HealthCheckExpressions)
		if err != nil {
			t.Fatal(err)
		}
		evaluators[check.Kind] = evaluator
	}
	if len(evaluators) == 0 {
		t.Fatalf("%s has no expressions", fluxFile)
	}
	return evaluators
}

// With numbers as the API server's clients have them.
func record(t *testing.T, path string) *unstructured.Unstructured {
	t.Helper()
	var content json.RawMessage
	read(t, path, &content)
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(content); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return object
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(content, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
