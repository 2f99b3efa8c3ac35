using System.Text;

namespace Mamba.Tests.Models;

/// <summary>Annotations in COCO's form with polygons and both kinds of runs.</summary>
internal static class CocoSamples
{
    public static byte[] File() => Encoding.UTF8.GetBytes(
        """{"info":{},"images":[{"id":20,"file_name":"a/one.jpg","width":4,"height":3},"""
        + """{"id":21,"file_name":"two.jpg","width":2,"height":2},{"id":22,"file_name":"three.jpg","width":2,"height":1}],"""
        + """ "categories":[{"id":7,"name":"dog","supercategory":"animal"},{"id":3,"name":"cat"}],"annotations":["""
        + """{"id":1,"image_id":20,"category_id":7,"iscrowd":0,"bbox":[0,0,4,3],"segmentation":[[0,0,1,0,1,2,0,2],[3,0,4,0,4,2,3,2]]},"""
        + """{"id":2,"image_id":20,"category_id":3,"iscrowd":1,"segmentation":{"size":[3,4],"counts":"336"}},"""
        + """{"id":3,"image_id":20,"category_id":7,"segmentation":{"size":[3,4],"counts":[11,1]}},"""
        + """{"id":4,"image_id":21,"category_id":3,"segmentation":[[0,0,2,0,2,1,0,1]]}]}""");
}
