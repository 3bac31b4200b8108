package main

import (
	"fmt"
	"hash/fnv"
	"maps"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

const (
	crashed   = "CrashLoopBackOff"
	completed = "Completed"
	pulling   = "ImagePullBackOff"
	notReady  = "ContainersNotReady"
)

// seeToPods is the scheduler, and the kubelet of each node that is there.
func (k *kubelet) seeToPods() {
	pods, err := k.factory.Core().V1().Pods().Lister().List(labels.Everything())
	k.note(err)
	there := map[types.UID]bool{}
	for _, pod := range pods {
		there[pod.UID] = true
		if pod.Spec.NodeName != "" {
			k.assigned[pod.UID] = pod.Spec.NodeName
		}
		// What was written is not looked at again before it has come back.
		if k.written[pod.UID] != pod.ResourceVersion {
			k.seeToPod(pod)
		}
	}
	gone := func(uid types.UID) bool { return !there[uid] }
	maps.DeleteFunc(k.restarts, func(uid types.UID, _ time.Time) bool { return gone(uid) })
	maps.DeleteFunc(k.written, func(uid types.UID, _ string) bool { return gone(uid) })
	maps.DeleteFunc(k.assigned, func(uid types.UID, _ string) bool { return gone(uid) })
}

func (k *kubelet) seeToPod(pod *corev1.Pod) {
	switch {
	case pod.Spec.NodeName != "" && k.unreachable(pod):
		k.markUnreachable(pod)
	case pod.DeletionTimestamp != nil:
		now := int64(0)
		k.note(k.core.CoreV1().Pods(pod.Namespace).Delete(k.ctx, pod.Name, metav1.DeleteOptions{
			GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &pod.UID},
		}))
	case pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed:
	case pod.Spec.NodeName == "":
		if !held(pod) && len(pod.Spec.SchedulingGates) == 0 {
			k.schedule(pod)
		}
	case len(pod.Status.ContainerStatuses) == 0, k.restartDue(pod):
		k.begin(pod)
	case runs(pod) && crashes(pod, restartsOf(pod)+1):
		k.begin(pod)
	case runs(pod) && ready(pod) != (pod.Annotations[prefix+"unready"] == ""):
		k.settle(pod, restartsOf(pod))
	}
}

// begin starts a Pod's containers, the first time or again.
func (k *kubelet) begin(pod *corev1.Pod) {
	if image, message := unpullable(pod); message != "" {
		k.failToPull(pod, image, message)
		return
	}
	restarts := restartsOf(pod)
	if len(pod.Status.ContainerStatuses) > 0 {
		restarts++
	}
	switch {
	case crashes(pod, restarts):
		k.crash(pod, restarts)
	case ends(pod):
		k.finish(pod, corev1.PodSucceeded, corev1.ContainerStateTerminated{Reason: completed})
	default:
		k.settle(pod, restarts)
	}
}

// ends says whether a Pod's containers do their work and end.
func ends(pod *corev1.Pod) bool {
	if told := pod.Annotations[prefix+"complete"]; told != "" {
		return told == "true"
	}
	owner := metav1.GetControllerOf(pod)
	return owner != nil && owner.Kind == "Job"
}

func unpullable(pod *corev1.Pod) (image, message string) {
	if told := pod.Annotations[prefix+"fail"]; told != "" {
		return pod.Spec.Containers[0].Image, told
	}
	for _, c := range pod.Spec.Containers {
		host, _, _ := strings.Cut(c.Image, "/")
		host, _, _ = strings.Cut(host, ":")
		if strings.HasSuffix(host, ".invalid") {
			return c.Image, fmt.Sprintf("failed to resolve reference %q: dial tcp: lookup %s: no such host", c.Image, host)
		}
	}
	return "", ""
}

// crashes says whether a Pod's containers end with an error after this many restarts.
func crashes(pod *corev1.Pod, restarts int32) bool {
	times, err := strconv.Atoi(pod.Annotations[prefix+"crash-times"])
	return pod.Annotations[prefix+"crash"] != "" && (err != nil || int(restarts) < times)
}

func restartsOf(pod *corev1.Pod) int32 {
	if len(pod.Status.ContainerStatuses) == 0 {
		return 0
	}
	return pod.Status.ContainerStatuses[0].RestartCount
}

func (k *kubelet) restartDue(pod *corev1.Pod) bool {
	waiting := pod.Status.ContainerStatuses[0].State.Waiting
	if waiting == nil || waiting.Reason != crashed {
		return false
	}
	return time.Now().After(k.restarts[pod.UID])
}

// settle has a Pod run; whether it is ready depends on its probe.
func (k *kubelet) settle(pod *corev1.Pod, restarts int32) {
	unready := pod.Annotations[prefix+"unready"]
	now := metav1.Now()
	statuses := k.statuses(pod, restarts, func(s *corev1.ContainerStatus) {
		up := true
		s.Ready, s.Started, s.ContainerID = unready == "", &up, "fake://"+string(pod.UID)
		s.State.Running = &corev1.ContainerStateRunning{StartedAt: now}
	})
	if unready != "" {
		k.events.Event(pod, corev1.EventTypeWarning, "Unhealthy", "Readiness probe failed: "+unready)
	} else {
		k.events.Event(pod, corev1.EventTypeNormal, "Started", "Container started")
	}
	k.setStatus(pod, k.status(pod, corev1.PodRunning, unready == "", notReady, statuses))
}

func (k *kubelet) failToPull(pod *corev1.Pod, image, message string) {
	waits := fmt.Sprintf("Back-off pulling image %q", image)
	k.events.Eventf(pod, corev1.EventTypeNormal, "Pulling", "Pulling image %q", image)
	k.events.Eventf(pod, corev1.EventTypeWarning, "Failed", "Failed to pull image %q: %s", image, message)
	k.events.Event(pod, corev1.EventTypeWarning, "Failed", "Error: ErrImagePull")
	k.events.Event(pod, corev1.EventTypeNormal, "BackOff", waits)
	k.events.Event(pod, corev1.EventTypeWarning, "Failed", "Error: "+pulling)
	statuses := k.statuses(pod, 0, func(s *corev1.ContainerStatus) {
		s.State.Waiting = &corev1.ContainerStateWaiting{Reason: pulling, Message: waits + ": ErrImagePull: " + message}
	})
	k.setStatus(pod, k.status(pod, corev1.PodPending, false, notReady, statuses))
}

// crash has a Pod's containers end with an error: for good where they are not to be started again, else for a while that
// doubles each time up to ten seconds (a real one begins at ten and ends at 300).
func (k *kubelet) crash(pod *corev1.Pod, restarts int32) {
	code, err := strconv.Atoi(pod.Annotations[prefix+"exit-code"])
	if err != nil {
		code = 1
	}
	ended := corev1.ContainerStateTerminated{ExitCode: int32(code), Reason: "Error", Message: pod.Annotations[prefix+"crash"]}
	if code == 137 {
		ended.Reason = "OOMKilled"
	}
	if pod.Spec.RestartPolicy == corev1.RestartPolicyNever {
		k.finish(pod, corev1.PodFailed, ended)
		return
	}
	now := metav1.Now()
	ended.StartedAt, ended.FinishedAt, ended.ContainerID = now, now, "fake://"+string(pod.UID)
	pause := min(time.Second<<min(restarts, 8), 10*time.Second)
	k.restarts[pod.UID] = now.Add(pause)
	name := pod.Spec.Containers[0].Name
	of := fmt.Sprintf("%s in pod %s_%s(%s)", name, pod.Name, pod.Namespace, pod.UID)
	k.events.Event(pod, corev1.EventTypeNormal, "Started", "Container started")
	k.events.Event(pod, corev1.EventTypeWarning, "BackOff", "Back-off restarting failed container "+of)
	statuses := k.statuses(pod, restarts, func(s *corev1.ContainerStatus) {
		s.LastTerminationState.Terminated = &ended
		s.State.Waiting = &corev1.ContainerStateWaiting{
			Reason: crashed, Message: fmt.Sprintf("back-off %s restarting failed container=%s", pause, of),
		}
	})
	k.setStatus(pod, k.status(pod, corev1.PodRunning, false, notReady, statuses))
}

func (k *kubelet) finish(pod *corev1.Pod, phase corev1.PodPhase, ended corev1.ContainerStateTerminated) {
	now := metav1.Now()
	ended.StartedAt, ended.FinishedAt, ended.ContainerID = now, now, "fake://"+string(pod.UID)
	statuses := k.statuses(pod, restartsOf(pod), func(s *corev1.ContainerStatus) { s.State.Terminated = &ended })
	k.setStatus(pod, k.status(pod, phase, false, "Pod"+string(phase), statuses))
}

// markUnreachable does what node-lifecycle-controller does to a Pod of a node that has gone silent.
func (k *kubelet) markUnreachable(pod *corev1.Pod) {
	if ready(pod) {
		k.events.Event(pod, corev1.EventTypeWarning, "NodeNotReady", "Node is not ready")
		k.setStatus(pod, corev1.PodStatus{Conditions: []corev1.PodCondition{{
			Type: corev1.PodReady, Status: corev1.ConditionFalse, Reason: "NodeNotReady", LastTransitionTime: metav1.Now(),
		}}})
	}
}

func runs(pod *corev1.Pod) bool {
	return len(pod.Status.ContainerStatuses) > 0 && pod.Status.ContainerStatuses[0].State.Running != nil
}

func ready(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func (k *kubelet) statuses(pod *corev1.Pod, restarts int32, fill func(*corev1.ContainerStatus)) []corev1.ContainerStatus {
	var all []corev1.ContainerStatus
	for i, c := range pod.Spec.Containers {
		s := corev1.ContainerStatus{Name: c.Name, Image: c.Image, ImageID: "fake", RestartCount: restarts}
		if i < len(pod.Status.ContainerStatuses) {
			s.LastTerminationState = pod.Status.ContainerStatuses[i].LastTerminationState
		}
		fill(&s)
		all = append(all, s)
	}
	return all
}

func (k *kubelet) status(
	pod *corev1.Pod, phase corev1.PodPhase, ready bool, reason string, statuses []corev1.ContainerStatus,
) corev1.PodStatus {
	now := metav1.Now()
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(pod.UID))
	number := sum.Sum32()
	names := make([]string, len(statuses))
	for i, s := range statuses {
		names[i] = s.Name
	}
	ip := fmt.Sprintf("10.%d.%d.%d", 128+number>>16&63, number>>8&255, number&255)
	started := pod.Status.StartTime
	if started == nil {
		started = &now
	}
	status := corev1.PodStatus{
		Phase: phase, StartTime: started, HostIP: "10.0.0.1", HostIPs: []corev1.HostIP{{IP: "10.0.0.1"}}, PodIP: ip,
		PodIPs: []corev1.PodIP{{IP: ip}}, ContainerStatuses: statuses, InitContainerStatuses: initialized(pod, now),
	}
	for _, kind := range []corev1.PodConditionType{corev1.PodInitialized, corev1.ContainersReady, corev1.PodReady} {
		condition := corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: now}
		if !ready && kind != corev1.PodInitialized {
			condition.Status, condition.Reason = corev1.ConditionFalse, reason
			if reason == notReady {
				condition.Message = fmt.Sprintf("containers with unready status: %v", names)
			}
		}
		status.Conditions = append(status.Conditions, condition)
	}
	return status
}

func initialized(pod *corev1.Pod, now metav1.Time) []corev1.ContainerStatus {
	var all []corev1.ContainerStatus
	for _, c := range pod.Spec.InitContainers {
		s := corev1.ContainerStatus{Name: c.Name, Image: c.Image, ImageID: "fake", Ready: true, ContainerID: "fake://" + string(pod.UID)}
		if c.RestartPolicy != nil {
			s.State.Running = &corev1.ContainerStateRunning{StartedAt: now}
		} else {
			s.State.Terminated = &corev1.ContainerStateTerminated{Reason: completed, StartedAt: now, FinishedAt: now}
		}
		all = append(all, s)
	}
	return all
}

func (k *kubelet) setStatus(pod *corev1.Pod, status corev1.PodStatus) {
	_, err := k.core.CoreV1().Pods(pod.Namespace).Patch(k.ctx, pod.Name, types.StrategicMergePatchType,
		patch(map[string]any{"metadata": map[string]any{"uid": pod.UID}, "status": status}), metav1.PatchOptions{}, "status")
	if err == nil {
		k.written[pod.UID] = pod.ResourceVersion
	}
	k.note(err)
}
