"""The puppets' labels against independent references: rasterised part masks, hand-made scenes, anatomy."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from minipose.data.puppets.body import ENDS, JOINTS, POINT, SHADED, Body, Build, Pose, kinematics, outlines
from minipose.data.puppets.dataset import Puppets, labels, random_build, random_pose
from minipose.data.puppets.scene import Scene, box, paint, wardrobe
from minipose.io.errors import InputError
from minipose.skeletons import COCO, LSP, MPII

HANGING = np.array([[8.0, 0.0, 0.0, 10.0]] * 2)
STANDING = np.zeros((2, 4))


@pytest.fixture(scope="module")
def samples():
    dataset = Puppets(400, seed=7, size=64)
    return [dataset[i] for i in range(len(dataset))]


def joint(points, name):
    return points[..., JOINTS.index(name), :]


def alone(body, things=()):
    """A scene of one puppet, upright in the middle, half the picture high, and things before it."""
    body = body.placed(0.5, np.array([0.5, 0.5]))
    things = np.array(things, dtype=float).reshape(-1, 4, 3)
    return Scene((body,), False, things, np.full((len(things), 3), 128.0), 0.8, False, 0, 0.0)


def test_the_same_number_gives_the_same_scene_and_another_number_another():
    first, second = Puppets(9, seed=3, size=64)[4], Puppets(30, seed=3, size=64)[4]
    assert first.image.tobytes() == second.image.tobytes()
    assert first.read().tobytes() == first.image.tobytes()
    np.testing.assert_array_equal(first.keypoints, second.keypoints)
    for other in (Puppets(9, seed=3, size=64)[5], Puppets(9, seed=4, size=64)[4]):
        assert not np.array_equal(other.keypoints, first.keypoints)
        assert not np.array_equal(other.image, first.image)


def test_labels_do_not_wait_for_the_picture(monkeypatch):
    monkeypatch.setattr(Scene, "image", lambda scene, side: pytest.fail("painted too early"))
    Puppets(1)[0]


@pytest.mark.parametrize("number", range(8))
def test_another_size_is_the_same_scene_at_another_resolution(number):
    small, large = Puppets(8, size=64)[number], Puppets(8, size=256)[number]
    assert small.image.shape == (96, 96, 3) and large.image.shape == (384, 384, 3)
    # Edges of the picture scale, so a pixel's centre x is at x + 1/2 from the edge.
    np.testing.assert_allclose((small.keypoints + 0.5) * 4, large.keypoints + 0.5, rtol=1e-12)
    np.testing.assert_array_equal(small.visibility, large.visibility)
    for name, size in small.sizes.items():
        assert size * 4 == pytest.approx(large.sizes[name], rel=1e-12)
    reduced = cv2.resize(large.image, (96, 96), interpolation=cv2.INTER_AREA).astype(float)
    assert np.abs(reduced - small.image).mean() < 5


def test_skeletons_agree_on_the_joints_they_share():
    found = {s.name: Puppets(6, size=64, skeleton=s.name) for s in (MPII, LSP, COCO)}
    for number in range(6):
        mpii, lsp, coco = (found[name][number] for name in ("mpii", "lsp", "coco"))
        assert np.array_equal(mpii.image, lsp.image) and np.array_equal(mpii.image, coco.image)
        for skeleton, sample in ((LSP, lsp), (COCO, coco)):
            assert sample.keypoints.shape == (len(skeleton), 2)
            shared = [name for name in skeleton.joints if name in MPII.joints]
            assert len(shared) == {"lsp": 14, "coco": 12}[skeleton.name]
            theirs, ours = ([s.index(name) for name in shared] for s in (skeleton, MPII))
            np.testing.assert_array_equal(sample.keypoints[theirs], mpii.keypoints[ours])
            np.testing.assert_array_equal(sample.visibility[theirs], mpii.visibility[ours])


def test_numbers_and_names_out_of_range():
    for number in (-6, 5):
        with pytest.raises(IndexError):
            Puppets(5)[number]
    with pytest.raises(InputError, match="skeleton: expected one of mpii, lsp, coco, found 'flic'") as error:
        Puppets(5, skeleton="flic")
    assert "\n" not in str(error.value)


def test_rates_of_flags_and_places_of_labels(samples):
    keypoints = np.array([s.keypoints for s in samples])
    visibility = np.array([s.visibility for s in samples])
    labelled = visibility > 0
    assert 0.015 < 1 - labelled.mean() < 0.08
    assert 0.1 < (visibility == 1).sum() / labelled.sum() < 0.2
    assert labelled.sum(axis=1).min() >= 6
    assert 0.08 < (~labelled).any(axis=1).mean() < 0.25
    assert np.isnan(keypoints[~labelled]).all()
    assert keypoints[labelled].min() >= 0 and keypoints[labelled].max() <= 95
    assert 54 < np.mean([s.crop.side for s in samples]) < 74
    assert 0.18 < np.mean([len(s.others) for s in samples]) < 0.32
    for sample in samples[:50]:
        low, high = np.nanmin(sample.keypoints, axis=0), np.nanmax(sample.keypoints, axis=0)
        assert sample.crop.side == pytest.approx(1.5 * (high - low).max())
        np.testing.assert_allclose(sample.crop.center, (low + high) / 2)
        assert sample.sizes["box"] == pytest.approx((high - low).max())
        assert (high - low).prod() < sample.area < 96**2


def test_the_second_person_is_labelled_like_the_first(samples):
    others = np.concatenate([s.others for s in samples])
    assert others.shape[1:] == (16, 3) and len(others) > 50
    visibility = others[..., 2]
    assert set(np.unique(visibility)) == {0, 1, 2}
    assert np.isnan(others[visibility == 0, :2]).all()
    assert (others[visibility > 0, :2] >= 0).all() and (others[visibility > 0, :2] <= 95).all()


def test_head_and_torso_are_measured_in_full_even_where_cut(samples):
    dataset = Puppets(400, seed=7, size=64)
    cut = 0
    for number, sample in enumerate(samples):
        joints = dataset.scene(number).people[0].joints * 96
        hand = {"head": ("neck", "head_top"), "torso": ("right_shoulder", "left_hip")}
        for name, ends in hand.items():
            (ax, ay), (bx, by) = (joint(joints, end) for end in ends)
            assert sample.sizes[name] == pytest.approx(((ax - bx) ** 2 + (ay - by) ** 2) ** 0.5)
        cut += sample.visibility[MPII.index("head_top")] == 0
    assert cut > 3


def angle(before, at, after):
    """Between two bones, in degrees: 0 where they are in line."""
    u, v = at - before, after - at
    return np.rad2deg(np.arccos(np.clip((u * v).sum() / np.linalg.norm(u) / np.linalg.norm(v), -1, 1)))


def test_bones_and_angles_are_human():
    rng = np.random.default_rng(0)
    forward_knees = 0
    for _ in range(200):
        pose, build = random_pose(rng), random_build(rng)
        points, frames = kinematics(pose, build)

        def at(name, points=points):
            return points[POINT[name]]

        for s, row in (("right", 0), ("left", 1)):
            bones = {
                "upper_arm": ("shoulder", "elbow"), "forearm": ("elbow", "wrist"),
                "thigh": ("hip", "knee"), "shin": ("knee", "ankle"),
            }  # fmt: skip
            for bone, (a, b) in bones.items():
                length = np.linalg.norm(at(f"{s}_{a}") - at(f"{s}_{b}"))
                assert length == pytest.approx(getattr(build, bone)), bone
            elbow = angle(at(f"{s}_shoulder"), at(f"{s}_elbow"), at(f"{s}_wrist"))
            knee = angle(at(f"{s}_hip"), at(f"{s}_knee"), at(f"{s}_ankle"))
            assert elbow == pytest.approx(pose.arms[row, 3], abs=1e-3) and 0 <= elbow <= 145
            assert knee == pytest.approx(pose.legs[row, 3], abs=1e-3) and 0 <= knee <= 140
            # Seen from the hips, a knee folds the shin backwards from the line of the thigh.
            thigh, shin = (
                (at(f"{s}_{b}") - at(f"{s}_{a}")) @ frames[1] for a, b in (("hip", "knee"), ("knee", "ankle"))
            )
            flexion = [np.arctan2(v[2], v[1]) for v in (thigh, shin)]
            forward_knees += np.sin(flexion[1] - flexion[0]) > 0.05
            assert -0.4 < flexion[0] < 1.7
        shoulders = (
            np.linalg.norm(at("right_shoulder") - at("thorax")),
            np.linalg.norm(at("left_shoulder") - at("thorax")),
        )
        assert shoulders[0] == pytest.approx(shoulders[1])
        assert np.linalg.norm(at("head_top") - at("neck")) == pytest.approx(build.head)
        height = build.head + build.neck + build.trunk + build.thigh + build.shin + 0.045
        assert 0.15 < build.head / height < 0.195
        np.testing.assert_allclose((at("right_hip") + at("left_hip")) / 2, at("pelvis"), atol=0.02)
    assert forward_knees == 0


def test_an_upright_puppet_stands_upright():
    points, _ = kinematics(Pose(0.0, HANGING, STANDING), Build())
    heights = [
        points[POINT[name], 1]
        for name in ("head_top", "neck", "thorax", "pelvis", "right_knee", "right_ankle")
    ]
    assert (np.diff(heights) > 0.03).all()
    assert joint(points, "nose")[2] > 0.05 and points[POINT["left_toe"], 2] > points[POINT["left_heel"], 2]
    seated = np.array([[90.0, 0, 0, 90]] * 2)
    points, _ = kinematics(Pose(0.0, HANGING, seated), Build())
    knee, ankle = joint(points, "left_knee"), joint(points, "left_ankle")
    assert knee[2] == pytest.approx(0.235) and ankle[1] > knee[1] + 0.2
    raised = np.array([[170.0, 0, 90, 0]] * 2)
    points, _ = kinematics(Pose(0.0, raised, STANDING), Build())
    assert joint(points, "left_wrist")[1] < joint(points, "head_top")[1]


@pytest.mark.parametrize("turn", [-60, -25, 0, 25, 60])
def test_left_is_the_puppets_own(turn):
    for yaw, sign in ((turn, 1), (turn + 180, -1)):
        joints = kinematics(Pose(float(yaw), HANGING, STANDING), Build())[0]
        for name in ("shoulder", "hip", "ear"):
            assert sign * (joint(joints, f"left_{name}") - joint(joints, f"right_{name}"))[0] > 0.02
    face = [
        labels(alone(Body.of(Pose(float(yaw), HANGING, STANDING), Build())), 0)[1]
        for yaw in (turn, turn + 180)
    ]
    assert face[0][JOINTS.index("nose")] == 2 and face[1][JOINTS.index("nose")] == 1


def test_half_of_the_puppets_face_the_viewer():
    yaws = np.array([random_pose(np.random.default_rng(i)).yaw for i in range(400)])
    assert 0.42 < (np.cos(np.deg2rad(yaws)) > 0).mean() < 0.58
    assert (np.abs(np.cos(np.deg2rad(yaws))) >= 0.5 - 1e-9).all()


def test_a_crate_hides_the_joints_behind_it_and_no_others():
    body = Body.of(Pose(0.0, HANGING, STANDING), Build())
    joints, free = labels(alone(body), 0)
    assert (free[: len(MPII)] == 2).all()
    x, y = joint(joints, "left_knee")
    _, covered = labels(alone(body, [box(x - 0.02, y - 0.02, 0.04, 0.04)]), 0)
    changed = {JOINTS[i] for i in np.flatnonzero(free != covered)}
    assert changed == {"left_knee"} and covered[JOINTS.index("left_knee")] == 1


@pytest.mark.parametrize("yaw", [-60, -30, 0, 30, 60, 120, 150, 180, 210, 240])
def test_clothes_hide_no_joint_of_the_part_that_wears_them(yaw):
    for stripes, sleeve in ((True, 0), (False, 1)):
        build = Build(stripes=stripes, sleeve=sleeve, shorts=True, long_hair=True)
        _, visibility = labels(alone(Body.of(Pose(float(yaw), HANGING, STANDING, camera=12.0), build)), 0)
        for name in ("head_top", "neck", "thorax"):
            assert visibility[JOINTS.index(name)] == 2, name


def test_a_hand_behind_the_back_is_hidden_and_seen_from_behind():
    arms = np.array([[20.0, -50.0, 170.0, 80.0], HANGING[1]])
    wrist, other = JOINTS.index("right_wrist"), JOINTS.index("left_wrist")
    front, back = (labels(alone(Body.of(Pose(yaw, arms, STANDING), Build())), 0)[1] for yaw in (0.0, 180.0))
    assert (front[wrist], front[other]) == (1, 2)
    assert (back[wrist], back[other]) == (2, 2)


def test_the_nearer_person_hides_the_farther():
    body = Body.of(Pose(0.0, HANGING, STANDING), Build())
    scene = alone(body)
    twin = replace(scene, people=(scene.people[0], body.placed(0.5, np.array([0.505, 0.5]))))
    _, behind = labels(replace(twin, front=True), 0)
    _, before = labels(replace(twin, front=False), 0)
    assert (behind[: len(MPII)] == 1).sum() >= 15 and (before[: len(MPII)] == 2).all()


def test_beyond_the_border_there_is_no_label():
    body = Body.of(Pose(0.0, HANGING, STANDING), Build()).placed(0.5, np.array([0.02, 0.5]))
    joints, visibility = labels(replace(alone(body), people=(body,)), 0)
    np.testing.assert_array_equal(visibility == 0, joints[:, 0] <= 0.01)
    assert 0 < (visibility == 0).sum() < len(JOINTS)


def test_flags_agree_with_part_masks_painted_by_opencv():
    """Independent reference: paint the number of each part, and look what is on top at the joint."""
    dataset, side, agreed, hidden, total = Puppets(120, seed=11), 1024, 0, 0, 0
    for number in range(len(dataset)):
        scene = dataset.scene(number)
        joints, visibility = labels(scene, 0)
        mask, owners, own_top = np.zeros((side, side), np.int32), [None], np.zeros(len(JOINTS), int)
        for body in scene.painted:
            owners += [(body is scene.people[0], part) for part in body.part]
        owners += [(False, 0)] * len(scene.things)
        circles = np.concatenate([b.circles for b in scene.painted] + [scene.things])
        for rank, part in enumerate(circles, start=1):
            around = np.concatenate(
                [
                    c[:2] + c[2] * np.stack((np.cos(t), np.sin(t)), 1)
                    for c in part
                    for t in [np.arange(0, 6.28, 0.1)]
                ]
            )
            hull = cv2.convexHull((around * side - 0.5).astype(np.float32))
            cv2.fillConvexPoly(mask, np.rint(hull * 16).astype(np.int32), rank, cv2.LINE_8, 4)
            if owners[rank][0]:
                own_top[ENDS[:, owners[rank][1]]] = rank
        for j in np.flatnonzero(visibility > 0):
            column, row = np.rint(joints[j] * side - 0.5).astype(int)
            covered = mask[row, column] > own_top[j] or own_top[j] == 0
            agreed += covered == (visibility[j] == 1)
            hidden += covered
            total += 1
    assert agreed / total >= 0.985
    assert 0.1 * total < hidden < 0.4 * total


def test_the_painted_colour_at_a_joint_is_that_of_its_own_parts():
    rng, side, checked = np.random.default_rng(5), 768, 0
    light = np.array([0.5, -0.7])
    for _ in range(25):
        body = Body.of(random_pose(rng), random_build(rng)).placed(0.8, np.array([0.5, 0.5]))
        joints, visibility = labels(replace(alone(body), people=(body,)), 0)
        picture = np.full((side, side, 3), (0, 255, 0), np.uint8)
        colours = wardrobe(rng)
        paint(picture, body.circles, colours[body.material], SHADED[body.part], light)
        for j, name in enumerate(JOINTS):
            if visibility[j] == 2 and name.endswith(("wrist", "elbow", "knee", "ankle")):
                column, row = np.rint(joints[j] * side - 0.5).astype(int)
                own = {int(m) for m, part in zip(body.material, body.part, strict=True) if ENDS[j, part]}
                patch = picture[row - 2 : row + 3, column - 2 : column + 3].mean(axis=(0, 1))
                directions = (
                    patch / np.linalg.norm(patch),
                    colours[list(own)] / np.linalg.norm(colours[list(own)], axis=1)[:, None],
                )
                assert (directions[1] @ directions[0]).max() > 0.95, name
                checked += 1
    assert checked > 100


def test_outlines_reach_as_far_as_their_circles():
    capsule = np.array([[[0.2, 0.3, 0.05], [0.6, 0.3, 0.02], [0.6, 0.3, 0.02], [0.6, 0.3, 0.02]]])
    outline = outlines(capsule)[0]
    np.testing.assert_allclose([outline[:, 0].min(), outline[:, 0].max()], [0.15, 0.62])
    np.testing.assert_allclose([outline[:, 1].min(), outline[:, 1].max()], [0.25, 0.35])
