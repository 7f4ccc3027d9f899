//go:build cluster

// The engines of Argo CD and Flux, and kubectl, against a real API server and the operator: whatever applies our manifests,
// in whatever order, changes nothing the second time. I/O: the API server.
package gitops

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/cache"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/diff"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/engine"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/health"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/sync"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/sync/common"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/kube"
	"github.com/argoproj/argo-cd/gitops-engine/pkg/utils/tracing"
	"github.com/fluxcd/cli-utils/pkg/kstatus/polling"
	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/ssa"
	"github.com/fluxcd/pkg/ssa/normalize"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	// By which Argo CD knows what it has applied.
	trackingID  = "argocd.argoproj.io/tracking-id"
	argoManager = "argocd-controller"
)

func TestEngines(t *testing.T) {
	cluster := connect(t)
	// Waits for the resource types, which each engine brings with the rest.
	started := startOperator(t)
	for name, apply := range map[string]func(*testing.T, string){
		"argo-client-side": func(t *testing.T, namespace string) { argo(t, cluster, started, namespace, false) },
		"argo-server-side": func(t *testing.T, namespace string) { argo(t, cluster, started, namespace, true) },
		"flux":             func(t *testing.T, namespace string) { flux(t, cluster, started, namespace) },
	} {
		t.Run(name, func(t *testing.T) {
			cluster.withoutDefinitions(t)
			apply(t, cluster.namespace(t, name))
		})
	}
	t.Run("kubectl", func(t *testing.T) {
		started.ready(t)
		everyExample(t, cluster)
	})
}

// Argo CD's engine with what it knows of the cluster, which it keeps up to date for as long as it runs.
type argoEngine struct {
	cluster    *cluster
	cache      cache.ClusterCache
	objects    []*unstructured.Unstructured
	namespace  string
	serverSide bool
}

func argo(t *testing.T, cluster *cluster, started *operator, namespace string, serverSide bool) {
	objects := backwards(t, namespace)
	for _, object := range objects {
		key := kube.GetResourceKey(object)
		object.SetAnnotations(map[string]string{trackingID: namespace + ":" + key.String()})
		if serverSide && object.GetKind() == "Tenant" {
			nameAccounts(t, object)
		}
	}
	info := func(object *unstructured.Unstructured, _ bool) (any, bool) {
		id := object.GetAnnotations()[trackingID]
		return id, id != ""
	}
	known := cache.NewClusterCache(cluster.config, cache.SetLogr(logr.Discard()), cache.SetPopulateResourceInfoHandler(info))
	argo := argoEngine{cluster: cluster, cache: known, objects: objects, namespace: namespace, serverSide: serverSide}

	argo.sync(t)
	started.ready(t)
	cluster.untilReady(t, objects, "False")
	argo.unmodified(t, "while the gateway starts")
	argo.shows(t, health.HealthStatusProgressing)

	cluster.node.run(namespace, "globex-gateway")
	cluster.untilReady(t, objects, "True")
	argo.unmodified(t, "with the gateway ready")
	argo.shows(t, health.HealthStatusHealthy)

	before := cluster.settled(t, objects)
	argo.sync(t)
	same(t, "the second sync", before, cluster.versions(t, objects))
	argo.unmodified(t, "after the second sync")
}

// Writes out what a Tenant has as the key of a list by default. Argo CD's comparison by structured merge knows nothing of
// such defaults; by server-side dry run it does.
func nameAccounts(t *testing.T, tenant *unstructured.Unstructured) {
	t.Helper()
	path := []string{"spec", "channels", "telegram", "accounts"}
	accounts, found, err := unstructured.NestedSlice(tenant.Object, path...)
	if err != nil || !found {
		t.Fatalf("no accounts: %v", err)
	}
	for _, account := range accounts {
		account.(map[string]any)["name"] = "default"
	}
	if err := unstructured.SetNestedSlice(tenant.Object, accounts, path...); err != nil {
		t.Fatal(err)
	}
}

// Applies everything, as Argo CD does at each sync, whether it differs or not.
func (argo argoEngine) sync(t *testing.T) {
	t.Helper()
	gitops := engine.NewEngine(argo.cluster.config, argo.cache, engine.WithLogr(logr.Discard()))
	if _, err := gitops.Run(); err != nil {
		t.Fatal(err)
	}
	limited, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	results, err := gitops.Sync(limited, copies(argo.objects), argo.isOurs, "first", argo.namespace,
		sync.WithServerSideApply(argo.serverSide), sync.WithServerSideApplyManager(argoManager), sync.WithPrune(true),
		sync.WithManifestValidation(true), sync.WithHealthOverride(healthOf(t)), sync.WithLogr(logr.Discard()))
	if err != nil {
		t.Fatal(err)
	}
	for _, result := range results {
		t.Logf("Argo CD: %s: %s: %s", result.ResourceKey.String(), result.Status, result.Message)
		if result.Status != common.ResultCodeSynced {
			t.Errorf("%s: %s %s", result.ResourceKey.String(), result.Status, result.Message)
		}
	}
	if len(results) != len(argo.objects) {
		t.Errorf("%d results for %d objects", len(results), len(argo.objects))
	}
}

// Compares in all the ways in which Argo CD does: the one by default, and, for server-side apply, both of its own.
func (argo argoEngine) unmodified(t *testing.T, when string) {
	t.Helper()
	targets := copies(argo.objects)
	var reconciled sync.ReconciliationResult
	until(t, "Argo CD's knowledge of the cluster", func() error {
		live, err := argo.cache.GetManagedLiveObjs(targets, argo.isOurs)
		if err != nil {
			return err
		}
		reconciled = sync.Reconcile(targets, live, argo.namespace, argo.cache)
		for i, target := range reconciled.Target {
			stored := argo.cluster.mustGet(t, target).GetResourceVersion()
			if found := reconciled.Live[i]; found == nil || found.GetResourceVersion() != stored {
				return fmt.Errorf("%s %s is of another version", target.GetKind(), target.GetName())
			}
		}
		return nil
	})
	if len(reconciled.Target) != len(argo.objects) {
		t.Errorf("Argo CD would prune: %d objects are compared instead of %d", len(reconciled.Target), len(argo.objects))
	}
	applier, cleanup, err := (&kube.KubectlCmd{Log: logr.Discard(), Tracer: tracing.NopTracer{}}).
		ManageServerSideDiffDryRuns(argo.cluster.config)
	if err != nil {
		t.Fatal(err)
	}
	defer cleanup()
	common := []diff.Option{
		diff.WithLogr(logr.Discard()), diff.WithManager(argoManager), diff.WithGVKParser(argo.cache.GetGVKParser()),
	}
	ways := map[string][]diff.Option{"three-way": common}
	if argo.serverSide {
		dryRun := diff.WithServerSideDryRunner(diff.NewK8sServerSideDryRunner(applier))
		ways = map[string][]diff.Option{
			"server-side":      append([]diff.Option{diff.WithServerSideDiff(true), dryRun}, common...),
			"structured merge": append([]diff.Option{diff.WithStructuredMergeDiff(true)}, common...),
		}
	}
	for way, options := range ways {
		found, err := diff.DiffArray(reconciled.Target, reconciled.Live, options...)
		if err != nil {
			t.Fatalf("%s, %s: %v", when, way, err)
		}
		t.Logf("Argo CD, %s: the %s diff of %d objects: modified %t", when, way, len(found.Diffs), found.Modified)
		for i, one := range found.Diffs {
			if one.Modified {
				key := kube.GetResourceKey(reconciled.Target[i])
				t.Errorf("%s, the %s diff of %s is not empty:\nlive   %s\nwanted %s", when, way, key.String(),
					one.NormalizedLive, one.PredictedLive)
			}
		}
	}
}

// What Argo CD shows of each object of ours.
func (argo argoEngine) shows(t *testing.T, wanted health.HealthStatusCode) {
	t.Helper()
	for _, object := range argo.objects {
		if object.GroupVersionKind().GroupVersion() != group {
			continue
		}
		found, err := health.GetResourceHealth(argo.cluster.mustGet(t, object), healthOf(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("Argo CD: %s %s is %s: %s", object.GetKind(), object.GetName(), found.Status, found.Message)
		if found.Status != wanted {
			t.Errorf("%s %s is %s, expected %s", object.GetKind(), object.GetName(), found.Status, wanted)
		}
	}
}

func (argo argoEngine) isOurs(resource *cache.Resource) bool {
	id, _ := resource.Info.(string)
	key := resource.ResourceKey()
	return id == argo.namespace+":"+key.String()
}

func flux(t *testing.T, cluster *cluster, started *operator, namespace string) {
	objects := backwards(t, namespace)
	mapper := cluster.client.RESTMapper()
	poller := polling.NewStatusPoller(cluster.client, mapper, polling.Options{})
	owner := ssa.Owner{Field: "kustomize-controller", Group: "kustomize.toolkit.fluxcd.io"}
	manager := ssa.NewResourceManager(cluster.client, poller, owner)
	apply := func() *ssa.ChangeSet {
		applied := copies(objects)
		if err := normalize.UnstructuredList(applied); err != nil {
			t.Fatal(err)
		}
		manager.SetOwnerLabels(applied, "fleet", namespace)
		changes, err := manager.ApplyAllStaged(t.Context(), applied, ssa.DefaultApplyOptions())
		if err != nil {
			t.Fatal(err)
		}
		if len(changes.Entries) != len(objects) {
			t.Errorf("%d entries for %d objects", len(changes.Entries), len(objects))
		}
		for _, entry := range changes.Entries {
			t.Logf("Flux: %s", entry.String())
		}
		return changes
	}
	all := func(when string, wanted ssa.Action, changes *ssa.ChangeSet) {
		for _, entry := range changes.Entries {
			if entry.Action != wanted {
				t.Errorf("%s: %s, expected %s", when, entry.String(), wanted)
			}
		}
	}
	all("first", ssa.CreatedAction, apply())
	started.ready(t)
	cluster.untilReady(t, objects, "False")
	all("while the gateway starts", ssa.UnchangedAction, apply())
	kstatusOf(t, cluster, objects, status.InProgressStatus)

	cluster.node.run(namespace, "globex-gateway")
	// As a Kustomization with `wait: true` does.
	waiting := ssa.WaitOptions{Interval: 200 * time.Millisecond, Timeout: patience}
	if err := manager.Wait(objects, waiting); err != nil {
		t.Fatal(err)
	}
	kstatusOf(t, cluster, objects, status.CurrentStatus)
	before := cluster.settled(t, objects)
	all("with the gateway ready", ssa.UnchangedAction, apply())
	same(t, "applying again", before, cluster.versions(t, objects))
}

func kstatusOf(t *testing.T, cluster *cluster, objects []*unstructured.Unstructured, wanted status.Status) {
	t.Helper()
	for _, object := range objects {
		if object.GroupVersionKind().GroupVersion() != group {
			continue
		}
		result, err := status.Compute(cluster.mustGet(t, object))
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("kstatus: %s %s is %s: %s", object.GetKind(), object.GetName(), result.Status, result.Message)
		if result.Status != wanted {
			t.Errorf("%s %s is %s, expected %s", object.GetKind(), object.GetName(), result.Status, wanted)
		}
	}
}
