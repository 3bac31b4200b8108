package main

import (
	"fmt"
	"sort"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// schedule binds a Pod to the node with the fewest Pods of the same controller, or says why it cannot.
func (k *kubelet) schedule(pod *corev1.Pod) {
	node, reason := k.nodeFor(pod)
	if node != nil {
		bound, why := k.claimsBound(pod, node.Name)
		if bound {
			err := k.core.CoreV1().Pods(pod.Namespace).Bind(k.ctx, &corev1.Binding{
				ObjectMeta: metav1.ObjectMeta{Name: pod.Name, UID: pod.UID},
				Target:     corev1.ObjectReference{Kind: "Node", Name: node.Name},
			}, metav1.CreateOptions{})
			k.note(err)
			if err == nil {
				k.written[pod.UID], k.assigned[pod.UID] = pod.ResourceVersion, node.Name
				k.scheduler.Eventf(pod, corev1.EventTypeNormal, "Scheduled", "Successfully assigned %s/%s to %s",
					pod.Namespace, pod.Name, node.Name)
			}
			return // the bound Pod comes back as an update
		}
		reason = why
	}
	if reason == "" {
		return // what it waits for is being made
	}
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Message == reason {
			return
		}
	}
	k.scheduler.Event(pod, corev1.EventTypeWarning, "FailedScheduling", reason)
	k.setStatus(pod, corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: reason,
		LastTransitionTime: metav1.Now(),
	}}})
}

func (k *kubelet) nodeFor(pod *corev1.Pod) (*corev1.Node, string) {
	why := map[string]int{}
	var fitting []*corev1.Node
	usable := k.usable()
	for _, node := range usable {
		if reason := misfit(pod, node); reason != "" {
			why[reason]++
		} else {
			fitting = append(fitting, node)
		}
	}
	if len(fitting) == 0 {
		if away := len(nodeNames) - len(usable); away > 0 {
			why["node(s) were not ready or tainted"] = away
		}
		return nil, unavailable(why)
	}
	count := map[string]int{}
	pods, err := k.factory.Core().V1().Pods().Lister().Pods(pod.Namespace).List(labels.Everything())
	k.note(err)
	for _, other := range pods {
		if sameController(pod, other) {
			count[k.assigned[other.UID]]++
		}
	}
	sort.Slice(fitting, func(a, b int) bool {
		if count[fitting[a].Name] != count[fitting[b].Name] {
			return count[fitting[a].Name] < count[fitting[b].Name]
		}
		return fitting[a].Name < fitting[b].Name
	})
	return fitting[0], ""
}

func sameController(a, b *corev1.Pod) bool {
	x, y := metav1.GetControllerOf(a), metav1.GetControllerOf(b)
	return x != nil && y != nil && x.UID == y.UID
}

// misfit says why one node alone could never take a Pod.
func misfit(pod *corev1.Pod, node *corev1.Node) string {
	if !labels.SelectorFromSet(pod.Spec.NodeSelector).Matches(labels.Set(node.Labels)) {
		return "node(s) didn't match Pod's node affinity/selector"
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		asked := int64(0)
		for _, c := range pod.Spec.Containers {
			asked += c.Resources.Requests.Name(name, "").MilliValue()
		}
		if asked > node.Status.Allocatable.Name(name, "").MilliValue() {
			return "Insufficient " + string(name)
		}
	}
	return ""
}

func unavailable(why map[string]int) string {
	var reasons []string
	for reason, nodes := range why {
		reasons = append(reasons, fmt.Sprintf("%d %s", nodes, reason))
	}
	sort.Strings(reasons)
	text := fmt.Sprintf("0/%d nodes are available", len(nodeNames))
	for i, reason := range reasons {
		text += []string{": ", ", "}[min(i, 1)] + reason
	}
	return text + "."
}

// claimsBound says whether a Pod's claims have volumes. One that waits for its first consumer is told the node.
func (k *kubelet) claimsBound(pod *corev1.Pod, node string) (bool, string) {
	for _, volume := range pod.Spec.Volumes {
		name := ""
		switch {
		case volume.PersistentVolumeClaim != nil:
			name = volume.PersistentVolumeClaim.ClaimName
		case volume.Ephemeral != nil:
			name = pod.Name + "-" + volume.Name
		default:
			continue
		}
		claim, err := k.factory.Core().V1().PersistentVolumeClaims().Lister().PersistentVolumeClaims(pod.Namespace).Get(name)
		if err != nil {
			return false, fmt.Sprintf("persistentvolumeclaim %q not found", name)
		}
		if claim.Status.Phase == corev1.ClaimBound {
			continue
		}
		class := k.classOf(claim)
		if class == nil || class.VolumeBindingMode == nil || *class.VolumeBindingMode != storagev1.VolumeBindingWaitForFirstConsumer {
			return false, fmt.Sprintf("0/%d nodes are available: pod has unbound immediate PersistentVolumeClaims.", len(nodeNames))
		}
		if claim.Annotations[selectedNode] == "" {
			_, err := k.core.CoreV1().PersistentVolumeClaims(claim.Namespace).Patch(k.ctx, name, types.MergePatchType,
				patch(map[string]any{"metadata": map[string]any{"annotations": map[string]string{selectedNode: node}}}), metav1.PatchOptions{})
			k.note(err)
		}
		return false, ""
	}
	return true, ""
}
