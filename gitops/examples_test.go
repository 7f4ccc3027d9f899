//go:build cluster

// Every example, by kubectl and by the command line, as users have it who have no engine. I/O: the API server, processes.
package gitops

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Applies every example twice, client-side and server-side, and sees it Ready.
func everyExample(t *testing.T, cluster *cluster) {
	entries, err := os.ReadDir(examples)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		path := filepath.Join(examples, entry.Name())
		switch {
		case entry.IsDir():
			t.Run(entry.Name(), func(t *testing.T) {
				rendered := kubectl(t, "", "kustomize", path)
				valid(t, rendered)
				twice(t, cluster, objectsOf(t, path, []byte(rendered)), "-k", path)
			})
		case filepath.Ext(path) == ".yaml":
			t.Run(entry.Name(), func(t *testing.T) {
				text, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				valid(t, string(text))
				objects := objectsOf(t, path, text)
				namespace := cluster.namespace(t, "example-"+strings.TrimSuffix(entry.Name(), ".yaml"))
				for _, object := range objects {
					object.SetNamespace(namespace)
				}
				twice(t, cluster, objects, "-n", namespace, "-f", path)
			})
		case filepath.Ext(path) != ".md":
			t.Errorf("%s is neither a manifest nor a folder for Kustomize", path)
		}
	}
}

func twice(t *testing.T, cluster *cluster, objects []*unstructured.Unstructured, source ...string) {
	t.Helper()
	// Some lists belong to one manager as a whole and have defaults within: who goes over from one way to the other says
	// once that it is meant.
	for _, way := range [][]string{{"--server-side=false"}, {"--server-side", "--force-conflicts"}} {
		apply := append(append([]string{"apply", "--validate=strict"}, way...), source...)
		kubectl(t, "", apply...)
		cluster.untilReady(t, objects, "False")
		before := cluster.settled(t, objects)
		t.Logf("kubectl %s", strings.ReplaceAll(kubectl(t, "", apply...), "\n", "; "))
		same(t, "applying again with "+way[0], before, cluster.versions(t, objects))
	}
	for _, object := range objects {
		if object.GetKind() == "Tenant" {
			cluster.node.run(object.GetNamespace(), object.GetName()+"-gateway")
		}
	}
	cluster.untilReady(t, objects, "True")
}

// `kr8tiv validate` has nothing to say, not even a warning.
func valid(t *testing.T, manifest string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Getenv("KR8TIV_E2E_CLI"), "validate", "--warnings-as-errors", "-f", "-")
	command.Stdin = strings.NewReader(manifest)
	if output, err := command.CombinedOutput(); err != nil {
		t.Errorf("kr8tiv validate: %v: %s", err, output)
	}
}
