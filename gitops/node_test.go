//go:build cluster

// Stands in for a node: makes Pods Ready, and answers as their watchdogs. I/O: the API server, an address of the network
// namespace, a listening socket. The tests in Rust have the same in e2e/src/pretend_node.rs.
package gitops

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	nodeName = "pretend"
	// Addresses that nobody gives out in a cluster without a node.
	podNetwork   = "198.18.0.0/24"
	podAddresses = "198.18.0."
	lastAddress  = 254
	watchdogPort = "18800"
	// As kubelet does by default. The node counts as lost after 40 s without.
	heartbeat = 10 * time.Second
)

type pretendNode struct {
	client client.Client
	mutex  sync.Mutex
	// The ConfigMap that the Pod at each address would have mounted.
	mounts map[string]client.ObjectKey
	// What is wrong with the gateways that serve and are not well, by the ConfigMap that they have mounted.
	troubles map[client.ObjectKey][]string
	// The Pods that shall run.
	wanted map[client.ObjectKey]bool
}

// It ends with the process.
func startNode(t *testing.T, kubeClient client.Client) *pretendNode {
	t.Helper()
	node := &pretendNode{
		client: kubeClient, mounts: map[string]client.ObjectKey{}, troubles: map[client.ObjectKey][]string{},
		wanted: map[client.ObjectKey]bool{},
	}
	if output, err := exec.Command("ip", "route", "replace", "local", podNetwork, "dev", "lo").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	listener, err := net.Listen("tcp", "0.0.0.0:"+watchdogPort)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: node}
	go server.Serve(listener)
	if err := node.register(t.Context()); err != nil {
		t.Fatal(err)
	}
	go node.beat()
	go node.watch()
	return node
}

// Has the Pod of a gateway run from now on, and whichever replaces it.
func (node *pretendNode) run(namespace, gateway string) {
	node.mutex.Lock()
	defer node.mutex.Unlock()
	node.wanted[client.ObjectKey{Namespace: namespace, Name: gateway + "-0"}] = true
}

// Has the watchdog of a gateway say from now on what is wrong with it; without reasons, that it is well.
func (node *pretendNode) trouble(namespace, gateway string, reasons ...string) {
	node.mutex.Lock()
	defer node.mutex.Unlock()
	node.troubles[client.ObjectKey{Namespace: namespace, Name: gateway + "-config"}] = reasons
}

// Looks after the Pods, as kubelet does.
func (node *pretendNode) watch() {
	for range time.Tick(200 * time.Millisecond) {
		pods := &corev1.PodList{}
		if err := node.client.List(context.Background(), pods); err != nil {
			fmt.Printf("the pretended node can't list Pods: %v\n", err)
			continue
		}
		for i := range pods.Items {
			// Somebody else may be faster; the next look will tell.
			if err := node.look(context.Background(), &pods.Items[i]); client.IgnoreNotFound(err) != nil {
				fmt.Printf("the pretended node and the Pod %s: %v\n", pods.Items[i].Name, err)
			}
		}
	}
}

// Ends a Pod whose deletion has begun, and makes one Ready that shall run.
func (node *pretendNode) look(ctx context.Context, pod *corev1.Pod) error {
	node.mutex.Lock()
	wanted := node.wanted[client.ObjectKeyFromObject(pod)]
	node.mutex.Unlock()
	if pod.DeletionTimestamp != nil {
		if pod.Spec.NodeName != nodeName {
			return nil
		}
		// The next one has the same name.
		this := client.Preconditions{UID: &pod.UID}
		return node.client.Delete(ctx, pod, client.GracePeriodSeconds(0), this)
	}
	if !wanted || pod.Status.PodIP != "" {
		return nil
	}
	// One that is bound and has no address yet is from an earlier look that got no further.
	if pod.Spec.NodeName == "" {
		binding := &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name},
			Target:     corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: nodeName},
		}
		if err := node.client.SubResource("binding").Create(ctx, pod, binding); err != nil {
			return err
		}
	}
	address, err := node.address(pod)
	if err != nil {
		return err
	}
	before := pod.DeepCopy()
	pod.Status.Phase = corev1.PodRunning
	pod.Status.PodIP = address
	pod.Status.PodIPs = []corev1.PodIP{{IP: address}}
	pod.Status.Conditions = nil
	for _, kind := range []corev1.PodConditionType{
		corev1.PodScheduled, corev1.PodInitialized, corev1.ContainersReady, corev1.PodReady,
	} {
		pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue})
	}
	return node.client.Status().Patch(ctx, pod, client.StrategicMergeFrom(before))
}

// An address of its own for a Pod.
func (node *pretendNode) address(pod *corev1.Pod) (string, error) {
	node.mutex.Lock()
	defer node.mutex.Unlock()
	number := len(node.mounts) + 1
	if number > lastAddress {
		return "", fmt.Errorf("%s has no address left", podNetwork)
	}
	address := fmt.Sprintf("%s%d", podAddresses, number)
	node.mounts[address] = client.ObjectKey{Namespace: pod.Namespace, Name: strings.TrimSuffix(pod.Name, "-0") + "-config"}
	return address, nil
}

// ServeHTTP answers as a watchdog that has delivered what its Pod mounts, to a gateway that runs with it.
func (node *pretendNode) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	local, _ := request.Context().Value(http.LocalAddrContextKey).(net.Addr)
	node.mutex.Lock()
	key, known := node.mounts[strings.TrimSuffix(local.String(), ":"+watchdogPort)]
	reasons := node.troubles[key]
	node.mutex.Unlock()
	answer := map[string]any{
		"version": "0.1.0", "delivered": nil, "pending": nil, "error": nil,
		"drift": map[string]any{"restoredTotal": 0, "files": []string{}},
	}
	gateway := map[string]any{"state": "Alive", "reasons": []string{}}
	if len(reasons) > 0 {
		gateway["state"], gateway["reasons"] = "Degraded", reasons
	}
	mount := &corev1.ConfigMap{}
	if known && node.client.Get(request.Context(), key, mount) == nil {
		var delivery struct {
			BundleHash string `json:"bundleHash"`
		}
		if json.Unmarshal([]byte(mount.Data["delivery.json"]), &delivery) == nil {
			answer["delivered"] = map[string]any{"bundleHash": delivery.BundleHash}
			gateway["config"] = map[string]any{"bundleHash": delivery.BundleHash, "valid": true, "applied": true}
		}
	}
	answer["gateway"] = gateway
	writer.Header().Set("Content-Type", "application/json")
	json.NewEncoder(writer).Encode(answer)
}

// Makes the node known: Pods of an unknown or silent node are taken away.
func (node *pretendNode) register(ctx context.Context) error {
	now := metav1.Now()
	object := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName}}
	if err := node.client.Create(ctx, object); err != nil {
		return err
	}
	before := object.DeepCopy()
	object.Status.Conditions = []corev1.NodeCondition{{
		Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "Pretended", Message: "a stand-in of the tests",
		LastHeartbeatTime: now, LastTransitionTime: now,
	}}
	if err := node.client.Status().Patch(ctx, object, client.StrategicMergeFrom(before)); err != nil {
		return err
	}
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-node-lease", Name: nodeName}}
	lease.Spec = leaseNow()
	return node.client.Create(ctx, lease)
}

func (node *pretendNode) beat() {
	for range time.Tick(heartbeat) {
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-node-lease", Name: nodeName}}
		patch, err := json.Marshal(map[string]any{"spec": leaseNow()})
		if err == nil {
			err = node.client.Patch(context.Background(), lease, client.RawPatch("application/merge-patch+json", patch))
		}
		if err != nil {
			fmt.Printf("the pretended node can't renew its lease: %v\n", err)
		}
	}
}

func leaseNow() coordinationv1.LeaseSpec {
	holder, seconds, now := nodeName, int32(40), metav1.NowMicro()
	return coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds, RenewTime: &now}
}
