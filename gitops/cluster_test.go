//go:build cluster

// The cluster that `e2e/run gitops` brings up, the operator, and manifests. I/O: the API server, processes.
package gitops

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	ssautils "github.com/fluxcd/pkg/ssa/utils"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// Enough for what takes a second, on a machine under load.
	patience = 2 * time.Minute
	// Without a write for this long, objects are taken to be at rest. The last one may be the status of a Harness, which the
	// operator writes at most once a second.
	quiet         = 2 * time.Second
	operatorAddr  = "127.0.0.1:18080"
	examples      = "../examples"
	definitionDir = "../crds/yaml"
)

var group = schema.GroupVersion{Group: "kr8tiv.ai", Version: "v1alpha1"}

type cluster struct {
	config *rest.Config
	client client.Client
	node   *pretendNode
}

// All tests share it: a node of the same name as one that is gone loses its Pods.
var connected *cluster

func connect(t *testing.T) *cluster {
	t.Helper()
	if connected != nil {
		return connected
	}
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	// The engines ask as often as they like.
	config.QPS, config.Burst = 200, 400
	kubeClient, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	connected = &cluster{config: config, client: kubeClient, node: startNode(t, kubeClient)}
	return connected
}

// The operator with the rights of its chart, as a process that ends with the test.
type operator struct {
	process *exec.Cmd
}

func startOperator(t *testing.T) *operator {
	t.Helper()
	log, err := os.OpenFile(os.Getenv("KR8TIV_E2E_OPERATOR_LOG"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	process := exec.Command(os.Getenv("KR8TIV_E2E_OPERATOR"), "--watchdog-image=example.com/kr8tiv/watchdog:e2e",
		"--sandbox-image=example.com/kr8tiv/sandbox:e2e", "--listen="+operatorAddr)
	process.Env = append(os.Environ(), "KUBECONFIG="+os.Getenv("KR8TIV_E2E_OPERATOR_KUBECONFIG"))
	process.Stdout, process.Stderr = log, log
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	started := &operator{process: process}
	t.Cleanup(func() { started.stop(t) })
	return started
}

func (operator *operator) stop(t *testing.T) {
	t.Helper()
	if operator.process.ProcessState != nil {
		return
	}
	if err := operator.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	// One that does not end fails the test, and not the run after half an hour.
	kill := time.AfterFunc(patience, func() { _ = operator.process.Process.Kill() })
	defer kill.Stop()
	if err := operator.process.Wait(); err != nil {
		t.Errorf("the operator ended with %v", err)
	}
}

// It is ready once the resource types exist and all objects are known.
func (operator *operator) ready(t *testing.T) {
	t.Helper()
	impatient := http.Client{Timeout: 10 * time.Second}
	until(t, "the operator ready", func() error {
		answer, err := impatient.Get("http://" + operatorAddr + "/readyz")
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("/readyz answers %s", answer.Status)
		}
		return nil
	})
}

// Waits for a condition, and fails with what was in the way.
func until(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s: %v", what, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// A namespace of the test's own.
func (cluster *cluster) namespace(t *testing.T, name string) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if err := cluster.client.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.client.Delete(context.Background(), namespace); err != nil {
			t.Error(err)
		}
	})
	return name
}

// Removes the resource types with everything made of them, so that the next test brings its own.
func (cluster *cluster) withoutDefinitions(t *testing.T) {
	t.Helper()
	for _, definition := range definitions(t) {
		if err := cluster.client.Delete(t.Context(), definition.DeepCopy()); client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
		until(t, definition.GetName()+" gone", func() error {
			_, err := cluster.get(t, definition)
			if apierrors.IsNotFound(err) {
				return nil
			}
			return fmt.Errorf("it is still there: %v", err)
		})
	}
}

// The stored object for one of a manifest.
func (cluster *cluster) get(t *testing.T, object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	t.Helper()
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(object.GroupVersionKind())
	err := cluster.client.Get(t.Context(), client.ObjectKeyFromObject(object), live)
	return live, err
}

func (cluster *cluster) mustGet(t *testing.T, object *unstructured.Unstructured) *unstructured.Unstructured {
	t.Helper()
	live, err := cluster.get(t, object)
	if err != nil {
		t.Fatal(err)
	}
	return live
}

// What changes with every write, of every object.
func (cluster *cluster) versions(t *testing.T, objects []*unstructured.Unstructured) []string {
	t.Helper()
	var versions []string
	for _, object := range objects {
		live := cluster.mustGet(t, object)
		versions = append(versions, fmt.Sprintf("%s %s: generation %d, resourceVersion %s", live.GetKind(), live.GetName(),
			live.GetGeneration(), live.GetResourceVersion()))
	}
	return versions
}

// The same once nothing is written any more: what follows from a change is written a moment later.
func (cluster *cluster) settled(t *testing.T, objects []*unstructured.Unstructured) []string {
	t.Helper()
	var versions []string
	changed := time.Now()
	until(t, "nothing to be written any more", func() error {
		before := versions
		versions = cluster.versions(t, objects)
		// There is no Supermemory: that is said after some attempts.
		isAsked := slices.ContainsFunc(objects, func(object *unstructured.Unstructured) bool {
			return condition(cluster.mustGet(t, object), "MemoryHealthy")["reason"] == "Starting"
		})
		if isAsked || !slices.Equal(before, versions) {
			changed = time.Now()
		}
		if time.Since(changed) < quiet {
			return fmt.Errorf("%s", strings.Join(versions, "\n"))
		}
		return nil
	})
	return versions
}

// Waits until the operator has looked at every object of ours, and until its condition Ready is this.
func (cluster *cluster) untilReady(t *testing.T, objects []*unstructured.Unstructured, status string) {
	t.Helper()
	for _, object := range objects {
		if object.GroupVersionKind().GroupVersion() != group {
			continue
		}
		until(t, fmt.Sprintf("%s %s with Ready=%s", object.GetKind(), object.GetName(), status), func() error {
			live := cluster.mustGet(t, object)
			found := condition(live, "Ready")
			observed, _, _ := unstructured.NestedInt64(live.Object, "status", "observedGeneration")
			if observed != live.GetGeneration() || found["status"] != status {
				return fmt.Errorf("generation %d of %d, %v", observed, live.GetGeneration(), found)
			}
			return nil
		})
	}
}

func condition(object *unstructured.Unstructured, kind string) map[string]any {
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, one := range conditions {
		if found, ok := one.(map[string]any); ok && found["type"] == kind {
			return found
		}
	}
	return nil
}

func manifests(t *testing.T, path string) []*unstructured.Unstructured {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return objectsOf(t, path, content)
}

func objectsOf(t *testing.T, path string, content []byte) []*unstructured.Unstructured {
	t.Helper()
	objects, err := ssautils.ReadObjects(bytes.NewReader(content))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return objects
}

func example(t *testing.T, name, namespace string) []*unstructured.Unstructured {
	t.Helper()
	objects := manifests(t, filepath.Join(examples, name+".yaml"))
	for _, object := range objects {
		object.SetNamespace(namespace)
		// A bot belongs to one tenant of the cluster.
		if object.GetKind() == "Secret" {
			token := "123456:" + namespace
			if err := unstructured.SetNestedField(object.Object, token, "stringData", "telegram-bot-token"); err != nil {
				t.Fatal(err)
			}
		}
	}
	return objects
}

func definitions(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(definitionDir, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no definitions in %s: %v", definitionDir, err)
	}
	var objects []*unstructured.Unstructured
	for _, file := range files {
		objects = append(objects, manifests(t, file)...)
	}
	return objects
}

// The definitions and an example, in the order in which nothing is there yet that is referred to.
func backwards(t *testing.T, namespace string) []*unstructured.Unstructured {
	t.Helper()
	objects := append(definitions(t), example(t, "two-agents", namespace)...)
	slices.Reverse(objects)
	if objects[0].GetKind() != "Agent" {
		t.Fatalf("the first object is the %s %s", objects[0].GetKind(), objects[0].GetName())
	}
	return objects
}

func copies(objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	var copied []*unstructured.Unstructured
	for _, object := range objects {
		copied = append(copied, object.DeepCopy())
	}
	return copied
}

func same(t *testing.T, what string, before, after []string) {
	t.Helper()
	for i, line := range after {
		if line != before[i] {
			t.Errorf("%s changed an object:\nbefore %s\nafter  %s", what, before[i], line)
		}
	}
}

// Runs kubectl, which `dev/cluster exec` has on the PATH, and gives what it printed.
func kubectl(t *testing.T, input string, arguments ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "kubectl", arguments...)
	command.Stdin = strings.NewReader(input)
	var complaint bytes.Buffer
	command.Stderr = &complaint
	output, err := command.Output()
	if err != nil {
		t.Fatalf("kubectl %s: %v: %s", strings.Join(arguments, " "), err, complaint.String())
	}
	return string(output)
}
