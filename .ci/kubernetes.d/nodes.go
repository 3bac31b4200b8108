package main

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

var nodeNames = []string{"fake-0", "fake-1"}

// A node says this often that it is there; node-lifecycle-controller waits ten times as long (control.py).
const heartbeat = 30 * time.Second

func lost(node *corev1.Node) bool { return node.Annotations[prefix+"lost"] == "true" }

func readyCondition(node *corev1.Node) *corev1.NodeCondition {
	for i := range node.Status.Conditions {
		if node.Status.Conditions[i].Type == corev1.NodeReady {
			return &node.Status.Conditions[i]
		}
	}
	return nil
}

// seeToNodes registers the nodes, and reports their state: Ready now and then, Unknown once.
func (k *kubelet) seeToNodes() {
	for _, name := range nodeNames {
		node, err := k.factory.Core().V1().Nodes().Lister().Get(name)
		if apierrors.IsNotFound(err) {
			k.register(name)
			continue
		}
		now := metav1.NewTime(time.Now())
		condition := corev1.NodeCondition{
			Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady",
			Message: "the fake kubelet is posting ready status", LastHeartbeatTime: now, LastTransitionTime: now,
		}
		if lost(node) {
			condition.Status, condition.Reason = corev1.ConditionUnknown, "NodeStatusUnknown"
			condition.Message = "Kubelet stopped posting node status."
		}
		if old := readyCondition(node); old != nil && old.Status == condition.Status {
			if lost(node) || now.Sub(old.LastHeartbeatTime.Time) < heartbeat {
				continue
			}
			condition.LastTransitionTime = old.LastTransitionTime
		}
		size := map[string]string{"cpu": "64", "memory": "256Gi", "pods": "1000", "ephemeral-storage": "1Ti"}
		_, err = k.core.CoreV1().Nodes().Patch(k.ctx, name, types.StrategicMergePatchType, patch(map[string]any{
			"status": map[string]any{
				"conditions": []corev1.NodeCondition{condition}, "capacity": size, "allocatable": size,
			},
		}), metav1.PatchOptions{}, "status")
		k.note(err)
	}
}

func (k *kubelet) register(name string) {
	_, err := k.core.CoreV1().Nodes().Create(k.ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: name,
		Labels: map[string]string{
			"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
			"topology.kubernetes.io/zone": "zone-of-" + name,
		},
	}}, metav1.CreateOptions{})
	k.note(err)
}

// usable are the nodes that take new Pods.
func (k *kubelet) usable() []*corev1.Node {
	var found []*corev1.Node
	nodes, err := k.factory.Core().V1().Nodes().Lister().List(labels.Everything())
	k.note(err)
	for _, node := range nodes {
		ready := readyCondition(node)
		if ready == nil || ready.Status != corev1.ConditionTrue || lost(node) || node.Spec.Unschedulable {
			continue
		}
		tainted := false
		for _, taint := range node.Spec.Taints {
			tainted = tainted || taint.Effect != corev1.TaintEffectPreferNoSchedule
		}
		if !tainted {
			found = append(found, node)
		}
	}
	return found
}

// unreachable says whether a Pod's node was cut off: its kubelet can do nothing for the Pod.
func (k *kubelet) unreachable(pod *corev1.Pod) bool {
	node, err := k.factory.Core().V1().Nodes().Lister().Get(pod.Spec.NodeName)
	return err == nil && lost(node)
}
