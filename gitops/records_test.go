//go:build cluster

// The product's own statuses, as health_test.go reads them: brought about one by one, and compared with testdata/.
// RECORD=1 writes them. I/O: the API server, files.
package gitops

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const (
	recordedNamespace = "team"
	recordedUID       = "0a1b2c3d-0000-4000-8000-000000000000"
	recordedTime      = "2026-01-01T00:00:00Z"
	holdingFinalizer  = "example.com/held-by-a-test"
)

var (
	timestamps = regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)
	hashes     = regexp.MustCompile(`\b(sha256:)?[0-9a-f]{64}\b`)
)

func TestRecords(t *testing.T) {
	cluster := connect(t)
	cluster.withoutDefinitions(t)
	for _, definition := range definitions(t) {
		kubectl(t, manifestOf(t, definition), "apply", "--server-side", "-f", "-")
		kubectl(t, "", "wait", "--for=condition=Established", "crd/"+definition.GetName())
	}

	// Nobody has looked at these.
	unseen := example(t, "two-agents", cluster.namespace(t, "records-unseen"))
	cluster.apply(t, unseen)
	cluster.record(t, "unseen", unseen)

	// It outlasts the test that starts it anew.
	whole := t
	started := startOperator(whole)
	started.ready(t)
	t.Run("two-agents", func(t *testing.T) {
		objects := example(t, "two-agents", cluster.namespace(t, "records-two-agents"))
		cluster.apply(t, objects)
		cluster.untilReason(t, objects, "Tenant", "Starting")
		cluster.untilReason(t, objects, "Agent", "Starting")
		cluster.untilAgentsAreKnown(t, objects)
		cluster.record(t, "starting", objects)
		cluster.node.run(objects[0].GetNamespace(), "globex-gateway")
		cluster.untilReady(t, objects, "True")
		cluster.record(t, "serving", objects)

		cluster.node.trouble(objects[0].GetNamespace(), "globex-gateway", "DiskFull")
		tenant := kind(t, objects, "Tenant")
		until(t, "a Tenant that serves and is Degraded", func() error {
			if live := cluster.mustGet(t, tenant); condition(live, "Degraded") == nil {
				return fmt.Errorf("%v", live.Object["status"])
			}
			return nil
		})
		cluster.record(t, "degraded", []*unstructured.Unstructured{tenant})
		cluster.node.trouble(objects[0].GetNamespace(), "globex-gateway")
		until(t, "a Tenant that is well again", func() error {
			if found := condition(cluster.mustGet(t, tenant), "Degraded"); found != nil {
				return fmt.Errorf("%v", found)
			}
			return nil
		})

		cluster.patch(t, objects, "Agent", `{"spec": {"model": "openai/gpt-5.5"}}`)
		cluster.untilReason(t, objects, "Tenant", "Invalid")
		cluster.untilReason(t, objects, "Harness", "Invalid")
		cluster.record(t, "invalid", objects)
	})
	t.Run("changed", func(t *testing.T) {
		objects := example(t, "two-agents", cluster.namespace(t, "records-changed"))
		cluster.apply(t, objects)
		cluster.untilAgentsAreKnown(t, objects)
		cluster.node.run(objects[0].GetNamespace(), "globex-gateway")
		cluster.untilReady(t, objects, "True")
		// Its status is written once a second at most, and may be of the time before it had a Tenant.
		until(t, "the Harness Ready for its Tenant", func() error {
			harness := cluster.mustGet(t, kind(t, objects, "Harness"))
			ready, _, err := unstructured.NestedInt64(harness.Object, "status", "tenants", "ready")
			if err == nil && ready != 1 {
				err = fmt.Errorf("%d", ready)
			}
			return err
		})
		// Nobody looks at the change.
		started.stop(t)
		for kind, patch := range map[string]string{
			"Harness": `{"spec": {"soul": {"vibe": "Brisk."}}}`,
			"Tenant":  `{"spec": {"displayName": "Globex"}}`,
			"Agent":   `{"spec": {"displayName": "Service desk"}}`,
		} {
			cluster.patch(t, objects, kind, patch)
		}
		cluster.record(t, "changed", objects)
		started = startOperator(whole)
		started.ready(t)
		cluster.untilReady(t, objects, "True")

		cluster.patch(t, objects, "Tenant", fmt.Sprintf(`{"metadata": {"finalizers": [%q]}}`, holdingFinalizer))
		tenant := kind(t, objects, "Tenant")
		kubectl(t, "", "-n", tenant.GetNamespace(), "delete", "tenants.kr8tiv.ai", tenant.GetName(), "--wait=false")
		cluster.record(t, "deleted", []*unstructured.Unstructured{tenant})
		cluster.patch(t, objects, "Tenant", `{"metadata": {"finalizers": []}}`)
	})
	t.Run("suspended", func(t *testing.T) {
		objects := example(t, "two-agents", cluster.namespace(t, "records-suspended"))
		for _, object := range objects {
			if object.GetKind() == "Tenant" {
				if err := unstructured.SetNestedField(object.Object, true, "spec", "suspend"); err != nil {
					t.Fatal(err)
				}
			}
		}
		cluster.apply(t, objects)
		cluster.untilAgentsAreKnown(t, objects)
		tenant := kind(t, objects, "Tenant")
		until(t, "the tenant at rest", func() error {
			live := cluster.mustGet(t, tenant)
			if condition(live, "Suspended") == nil || condition(live, "Reconciling") != nil {
				return fmt.Errorf("%v", live.Object["status"])
			}
			return nil
		})
		cluster.untilReason(t, objects, "Agent", "Suspended")
		cluster.untilReady(t, []*unstructured.Unstructured{kind(t, objects, "Harness")}, "True")
		cluster.record(t, "suspended", objects)
	})
	for _, missing := range []struct{ kind, reason, seen string }{
		{"Harness", "HarnessNotFound", "Tenant"}, {"Secret", "SecretNotFound", "Tenant"}, {"Tenant", "TenantNotFound", "Agent"},
	} {
		t.Run("without-"+missing.kind, func(t *testing.T) {
			name := "without-" + strings.ToLower(missing.kind)
			var objects []*unstructured.Unstructured
			for _, object := range example(t, "two-agents", cluster.namespace(t, "records-"+name)) {
				if object.GetKind() != missing.kind {
					objects = append(objects, object)
				}
			}
			cluster.apply(t, objects)
			cluster.untilReason(t, objects, missing.seen, missing.reason)
			cluster.record(t, name, []*unstructured.Unstructured{kind(t, objects, missing.seen)})
		})
	}
}

// Applies manifests as they are.
func (cluster *cluster) apply(t *testing.T, objects []*unstructured.Unstructured) {
	t.Helper()
	for _, object := range objects {
		kubectl(t, manifestOf(t, object), "apply", "--server-side", "-f", "-")
	}
}

// Changes the first object of a kind.
func (cluster *cluster) patch(t *testing.T, objects []*unstructured.Unstructured, of, patch string) {
	t.Helper()
	object := kind(t, objects, of)
	resource := strings.ToLower(of) + "." + group.Group
	kubectl(t, "", "-n", object.GetNamespace(), "patch", resource, object.GetName(), "--type=merge", "-p", patch)
}

// Waits until the first object of a kind is not Ready for this reason.
func (cluster *cluster) untilReason(t *testing.T, objects []*unstructured.Unstructured, of, reason string) {
	t.Helper()
	object := kind(t, objects, of)
	until(t, of+" with the reason "+reason, func() error {
		live := cluster.mustGet(t, object)
		observed, _, _ := unstructured.NestedInt64(live.Object, "status", "observedGeneration")
		if found := condition(live, "Ready"); found["reason"] != reason || observed != live.GetGeneration() {
			return fmt.Errorf("%v", found)
		}
		return nil
	})
}

// A Tenant that knows all of its Agents will not get ready twice.
func (cluster *cluster) untilAgentsAreKnown(t *testing.T, objects []*unstructured.Unstructured) {
	t.Helper()
	tenant, agents := kind(t, objects, "Tenant"), int64(0)
	for _, object := range objects {
		if object.GetKind() == "Agent" {
			agents++
		}
	}
	until(t, "the Agents in the Tenant's status", func() error {
		desired, _, err := unstructured.NestedInt64(cluster.mustGet(t, tenant).Object, "status", "agents", "desired")
		if err == nil && desired != agents {
			err = fmt.Errorf("%d", desired)
		}
		return err
	})
}

// Compares the first object of each kind of ours with the record of it, or writes that.
func (cluster *cluster) record(t *testing.T, state string, objects []*unstructured.Unstructured) {
	t.Helper()
	done := map[string]bool{}
	for _, object := range objects {
		of := object.GetKind()
		if object.GroupVersionKind().GroupVersion() != group || done[of] {
			continue
		}
		done[of] = true
		path := filepath.Join("testdata", strings.ToLower(of)+"-"+state+".yaml")
		if os.Getenv("RECORD") == "1" {
			cluster.settled(t, []*unstructured.Unstructured{object})
			if err := os.WriteFile(path, recordOf(t, cluster.mustGet(t, object)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		recorded, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		// What follows from a change is written a moment later.
		until(t, path+" as the product writes it, or gitops/run --record", func() error {
			if found := recordOf(t, cluster.mustGet(t, object)); !bytes.Equal(recorded, found) {
				return fmt.Errorf("recorded\n%s\nfound\n%s", recorded, found)
			}
			return nil
		})
	}
}

// An object without what is another each time.
func recordOf(t *testing.T, object *unstructured.Unstructured) []byte {
	t.Helper()
	text := manifestOf(t, object)
	if object.GetUID() != "" {
		text = strings.ReplaceAll(text, string(object.GetUID()), recordedUID)
		text = strings.ReplaceAll(text, string(object.GetUID())[:8], recordedUID[:8])
	}
	text = timestamps.ReplaceAllString(text, recordedTime)
	text = hashes.ReplaceAllString(text, "${1}"+strings.Repeat("0", 64))
	var masked map[string]any
	if err := json.Unmarshal([]byte(text), &masked); err != nil {
		t.Fatal(err)
	}
	content := unstructured.Unstructured{Object: masked}
	content.SetManagedFields(nil)
	content.SetResourceVersion("1")
	mask(masked, object.GetNamespace())
	written, err := yaml.Marshal(masked)
	if err != nil {
		t.Fatal(err)
	}
	return written
}

// Gives the test's namespace another name, wherever it is named as a word.
func mask(value any, namespace string) any {
	word := regexp.MustCompile(`(^|[ ./])` + regexp.QuoteMeta(namespace) + `([ ./,;:]|$)`)
	switch value := value.(type) {
	case map[string]any:
		for key, item := range value {
			value[key] = mask(item, namespace)
		}
	case []any:
		for i, item := range value {
			value[i] = mask(item, namespace)
		}
	case string:
		return word.ReplaceAllString(value, "${1}"+recordedNamespace+"${2}")
	}
	return value
}

func kind(t *testing.T, objects []*unstructured.Unstructured, wanted string) *unstructured.Unstructured {
	t.Helper()
	for _, object := range objects {
		if object.GetKind() == wanted {
			return object
		}
	}
	t.Fatalf("there is no %s", wanted)
	return nil
}

func manifestOf(t *testing.T, object *unstructured.Unstructured) string {
	t.Helper()
	text, err := json.Marshal(object.Object)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
